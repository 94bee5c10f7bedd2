"""Rewards made of votes: against a slow version, without a look at the labels, and what is left out of the loss."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from builders import groups_of
from hone.core.batch import Batch, collect
from hone.core.errors import RecipeError, RewardError
from hone.core.noise import NoiseKey
from hone.core.problem import Problem, Verdict
from hone.rewards import FixedMajority, Majority, TaskJudge


@dataclass(frozen=True)
class Letters:
    """Answers are letters; case does not matter. `?` is no answer, and `!` breaks the judge."""

    name: str = "letters"

    def verify(self, problem: Problem, text: str) -> Verdict:
        if text == "!":
            return Verdict(None, "error", detail="broken")
        answer = self.parse(text)
        return Verdict(float(self.same(answer, problem.answer)), answer=answer)

    def parse(self, text: str) -> Any:
        return None if text in "?!" else text

    def same(self, a: Any, b: Any) -> bool:
        return a is not None and b is not None and a.lower() == b.lower()

    def key(self, answer: Any) -> str:
        return answer.lower()


CONTEXT = SimpleNamespace(judge=TaskJudge(Letters()), task=Letters(), noise=NoiseKey(0, "train", 1))


def batch_of(texts: list[str], labels: list[str], **meta: Any) -> Batch:
    """A group for each string of one-letter answers."""
    made = groups_of([2] * len(texts), [[1] * len(row) for row in texts])
    answers = [(letter, label) for row, label in zip(texts, labels) for letter in row]
    problems = {label: Problem(f"q{i}", label, "letters", meta=meta) for i, label in enumerate(labels)}
    return collect([replace(t, text=a, problem=problems[label]) for t, (a, label) in zip(made, answers)])


def rewarded(piece: Any, batch: Batch) -> Batch:
    return asyncio.run(piece(batch, CONTEXT))


def slow(row: str, soft: bool) -> list[float]:
    """Counting in order of appearance; unread answers get nothing and have no vote."""
    read = [a.lower() for a in row if a != "?"]
    if not read:
        return [0.0] * len(row)
    counts = Counter(read)
    (winner, _), *_ = counts.most_common(1)
    return [
        0.0 if a == "?" else counts[a.lower()] / len(read) if soft else float(a.lower() == winner)
        for a in row
    ]


@pytest.mark.parametrize("soft", [False, True])
def test_against_counting(soft):
    rng = np.random.default_rng(0)
    rows = ["".join(rng.choice(list("aAbBc?"), 7)) for _ in range(12)]
    found = rewarded(Majority(soft=soft), batch_of(rows, ["a"] * 12))
    wanted = [r for row in rows for r in slow(row, soft)]
    assert found.rewards.tolist() == pytest.approx(wanted)
    assert found.ok.all()
    assert found.kept.all()


def test_the_labels_do_not_matter_but_to_the_metrics():
    rows = ["aab", "bbc", "cab"]
    right, wrong = (
        rewarded(Majority(), batch_of(rows, labels)) for labels in (["a", "b", "c"], ["x", "y", "z"])
    )
    assert torch.equal(right.rewards, wrong.rewards)
    assert torch.equal(right.kept, wrong.kept)
    assert [t.verdict for t in right.trajectories] == [t.verdict for t in wrong.trajectories]
    assert right.readings["srt/labelled_right"] == 1.0
    assert wrong.readings["srt/labelled_right"] == 0.0
    assert wrong.readings["srt/accuracy"] == 0.0
    same = {k: v for k, v in right.readings.items() if k not in ("srt/labelled_right", "srt/accuracy")}
    assert same.items() <= wrong.readings.items()


def test_the_verdict_carries_the_answer():
    found = rewarded(Majority(), batch_of(["aA?"], ["b"]))
    assert [t.verdict.answer for t in found.trajectories] == ["a", "A", None]
    assert [t.verdict.reward for t in found.trajectories] == [1.0, 1.0, 0.0]


def test_below_the_threshold_a_group_is_in_no_loss():
    found = rewarded(Majority(threshold=0.6), batch_of(["aabc", "aaab"], ["a", "a"]))
    assert found.rewards.tolist() == [0, 0, 0, 0, 1, 1, 1, 0]
    assert found.kept.tolist() == [False] * 4 + [True] * 4
    assert found.readings["srt/labelled"] == 0.5
    assert found.readings["srt/pseudo_reward"] == 0.75
    assert found.readings["srt/majority_frequency"] == 0.625


def test_the_clearest_groups_are_kept_and_of_equal_ones_the_first():
    found = rewarded(
        Majority(keep_fraction=0.5), batch_of(["aab", "abc", "bbb", "cca"], ["a", "a1", "b", "c"])
    )
    assert found.kept.tolist() == [True] * 3 + [False] * 3 + [True] * 3 + [False] * 3


@pytest.mark.parametrize(("unparsed", "kept"), [("drop", False), ("zero", True)])
def test_a_group_without_an_answer(unparsed, kept):
    found = rewarded(Majority(unparsed=unparsed), batch_of(["???", "aab"], ["a", "b"]))
    assert found.kept.tolist() == [kept] * 3 + [True] * 3
    assert found.rewards.tolist() == [0, 0, 0, 1, 1, 0]
    assert found.readings["srt/unparsed"] == 0.5


def test_a_judge_that_breaks_is_no_vote_and_no_zero():
    found = rewarded(Majority(), batch_of(["!ab", "aab"], ["a", "c"]))
    assert found.ok.tolist() == [False, True, True, True, True, True]
    assert found.trajectories[0].verdict.status == "error"
    assert bool(found.rewards[0].isnan())
    assert found.rewards[1:].tolist() == [1, 0, 1, 1, 0]


def test_the_spread_is_over_prompts():
    found = rewarded(Majority(), batch_of(["aaa", "bbb"], ["a", "b"]))
    assert found.readings["srt/mode_share"] == 0.5
    assert found.readings["srt/information"] == pytest.approx(np.log(2))
    assert found.readings["srt/answer_entropy"] == 0.0


def test_formulas_say_what_is_rewarded():
    assert Majority().formula() == "r_i = 1 if a_i is the majority answer, else 0"
    assert Majority(soft=True, threshold=0.6).formula() == (
        "r_i = share(a_i), in no loss unless share(majority) ≥ 0.6"
    )
    assert "the 0.5 of the step's groups" in Majority(keep_fraction=0.5).formula()
    assert "stored" in FixedMajority().formula()


@pytest.mark.parametrize("options", [{"threshold": 1.5}, {"keep_fraction": 0.0}])
def test_shares_are_shares(options):
    with pytest.raises(RecipeError, match="rewards"):
        Majority(**options)


def test_the_stored_text_is_the_label():
    found = rewarded(FixedMajority(), batch_of(["aAb?"], ["b"], majority="a"))
    assert found.rewards.tolist() == [1, 1, 0, 0]
    assert found.readings["srt/labelled_right"] == 0.0
    assert found.readings["srt/accuracy"] == 0.25
    assert found.kept.all()


@pytest.mark.parametrize(
    ("meta", "message"), [({}, "no stored majority"), ({"majority": "?"}, "gives no answer")]
)
def test_without_a_stored_answer_there_is_no_reward(meta, message):
    with pytest.raises(RewardError, match=message):
        rewarded(FixedMajority(), batch_of(["ab"], ["b"], **meta))
