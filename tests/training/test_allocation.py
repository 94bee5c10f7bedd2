"""Curricula that allocate, in the real loop: resumed exactly, each answer judged once, nothing counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

import hone
from hone.core.errors import RecipeError
from hone.core.problem import Verdict
from hone.core.signal import by_group
from hone.engines.barrier import BarrierEngine
from hone.rewards import TaskJudge
from hone.training import loop
from training.rewards import even
from training.test_runs import tiny, untimed, weights

SUM = {"reduction": "problem_sum"}
CASES = {
    "dynamic_sampling": {"method": "grpo"},
    "early_stop": {"credit": "stopped_rloo", "round": 2, **SUM},
    "variance_optimal": {**SUM, "num_generations": 16},
    "maxrl_optimal": {"method": "maxrl", "order": 2, **SUM},
}
MIXED = {"task": {"name": "arithmetic", "operations": [1, 2, 3]}, "reward": None}


def recipe(name: str, **keys):
    return tiny(curriculum=name, **{"method": "rloo", "num_generations": 4, **CASES[name], **keys})


def say_no(self, problem, text):
    """Every third problem is never solved."""
    return Verdict(even(problem, text) if int(problem.id, 16) % 3 else 0.0)


@pytest.fixture
def batches(monkeypatch):
    """The batches that a run takes."""
    found = []
    gather = loop.gather

    def kept(*arguments):
        found.append(gather(*arguments))
        return found[-1]

    monkeypatch.setattr(loop, "gather", kept)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_is_the_uninterrupted_one(name: str, tmp_path, monkeypatch):
    monkeypatch.setattr("hone.tasks.arithmetic.Arithmetic.verify", say_no)
    whole = hone.train(recipe(name, **MIXED, steps=3, checkpoint={"every": 1}), out=tmp_path / "whole")
    hone.train(recipe(name, **MIXED, steps=1), out=tmp_path / "run")
    resumed = hone.train(recipe(name, **MIXED, steps=3), out=tmp_path / "run", resume=True)
    assert untimed(resumed) == untimed(whole)
    assert weights(resumed) == weights(whole)
    lines = whole.metrics()
    sizes = [n for line in lines for n in line["groups/judged"]]
    if name == "dynamic_sampling":
        assert sum(line["signal/refilled_rollouts"] for line in lines) > 0
        assert sum(line["signal/dropped_rollouts"] for line in lines) > 0
    else:
        assert len(set(sizes)) > 1
    assert lines[-1]["rollouts"] == sum(sizes)  # the ledger has paid for the dropped ones too


@pytest.mark.parametrize("name", ["dynamic_sampling", "early_stop"])
def test_every_answer_is_judged_once_and_in_order(name: str, tmp_path, monkeypatch, batches):
    judged: list[str] = []
    score = TaskJudge.score

    async def counting(self, problems, texts, trainer_state):
        judged.extend(texts)
        return await score(self, problems, texts, trainer_state)

    monkeypatch.setattr(TaskJudge, "score", counting)
    monkeypatch.setattr("hone.tasks.arithmetic.Arithmetic.verify", say_no)
    keys = {"steps": 2, "eval": {"before": False, "problems": 1, "samples": 1, "k": [1]}}
    run = hone.train(recipe(name, **{**MIXED, **keys}), out=tmp_path / "run")
    assert len(judged) == run.metrics()[-1]["rollouts"] + 1  # and the one of the evaluation
    for batch in batches:
        order = [(t.labels["group"], t.labels["rollout"]) for t in batch.trajectories]
        assert order == sorted(set(order))


def test_later_rounds_share_the_prompt_and_have_noise_of_their_own(tmp_path, monkeypatch, batches):
    seen = []
    sample = BarrierEngine.sample

    async def noting(self, request):
        if request.noise.purpose == "train":
            seen.append(request.noise)
        return await sample(self, request)

    monkeypatch.setattr(BarrierEngine, "sample", noting)
    monkeypatch.setattr("hone.tasks.arithmetic.Arithmetic.verify", lambda *_: Verdict(0.0))
    hone.train(recipe("early_stop", **MIXED, steps=1), out=tmp_path / "run")
    assert len(set(seen)) == len(seen) == 6
    assert {noise.draw for noise in seen} == {0, 2}
    for group in by_group(batches[0].trajectories).values():
        assert len(group) == 4
        assert len({id(t.segments[0]) for t in group}) == 1
        assert len({t.leaf.tokens.tobytes() for t in group}) > 1


def test_a_step_in_which_nothing_has_signal_moves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("hone.tasks.arithmetic.Arithmetic.verify", lambda *_: Verdict(0.0))
    run = hone.train(recipe("dynamic_sampling", **MIXED, max_refills=1, steps=1), out=tmp_path / "run")
    line = run.metrics()[0]
    assert line["rollouts"] == line["signal/dropped_rollouts"] == 2 * 3 * 4
    assert line["updates_skipped"] == 1
    assert (line["signal/groups"], line["signal/per_token"]) == (0, 0)


def test_signal_per_token_by_hand(tmp_path):
    run = hone.train(tiny(method="rloo", steps=1), out=tmp_path / "run")
    line = run.metrics()[0]
    squares = sum(k * (n - k) / n for k, n in zip(line["groups/correct"], line["groups/judged"]))
    assert line["signal/per_token"] == pytest.approx(squares / line["sampled_tokens"])
    assert line["signal/groups"] == pytest.approx(1 - line["groups/no_signal"])


@pytest.mark.parametrize("name", ["dynamic_sampling", "early_stop"])
def test_a_reward_that_compares_completions_is_refused(name: str, tmp_path):
    reward = f"{Path(__file__).parent / 'rewards.py'}:how_many"
    with pytest.raises(RecipeError, match="takes all completions of a step at once"):
        hone.train(recipe(name, reward=reward, steps=1), out=tmp_path / "run")
