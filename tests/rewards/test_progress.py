"""Progress, the terminate-now baseline and the length penalty as reward pieces of a batch, and the selectors of MRT."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import torch

from builders import groups_of
from hone.core.batch import Batch, collect
from hone.core.errors import RecipeError, RewardError
from hone.rewards import LengthPenalty, Progress, TerminationBaseline
from hone.selectors import Continuations, MostProgress

NAN = float("nan")


def batch(lengths: list[list[int]], rewards: list[float], labels=(), readings=()) -> Batch:
    """Groups of answers of the given lengths, judged; NaN is no verdict."""
    trajectories = groups_of([3] * len(lengths), lengths)
    for i, more in enumerate(labels):
        trajectories[i] = replace(trajectories[i], labels={**trajectories[i].labels, **more})
    for i, more in enumerate(readings):
        trajectories[i] = replace(trajectories[i], readings=more)
    values = torch.tensor(rewards, dtype=torch.float64)
    return replace(collect(trajectories), rewards=values, ok=~values.isnan(), kept=~values.isnan())


def apply(piece, of: Batch) -> Batch:
    return asyncio.run(piece(of, None))


def measured(starts, success):
    return {"episode_starts": tuple(map(float, starts)), "forced_success": tuple(success)}


def test_every_token_has_the_progress_of_its_own_episode():
    of = batch(
        [[6, 3], [2]], [1.0, 0.0, 0.0],
        readings=[measured([0, 2, 5], [0.25, 0.75, 0.5]), measured([0, 3], [0.25, 1.0]), measured([0], [0.5])],
    )  # fmt: skip
    got = apply(Progress(alpha=2.0), of)
    wanted = [1.0, 1.0, -0.5, -0.5, -0.5, 0.0, 1.5, 1.5, 1.5, 0.0, 0.0]
    assert got.local_advantages.tolist() == wanted
    assert got.readings["mrt/progress"] == pytest.approx((0.25 + 0.75 + 0.0) / 3)
    assert got.readings["mrt/episodes"] == 1.0
    assert got.readings["mrt/unmeasured"] == 0.0
    assert torch.equal(got.rewards, of.rewards)
    again = apply(Progress(alpha=2.0), got)  # what another piece wrote is added to
    assert again.local_advantages.tolist() == [2 * x for x in wanted]


def test_what_could_not_be_measured_is_counted_and_has_no_progress():
    of = batch([[4]], [1.0], readings=[measured([0, 1, 2, 4], [0.5, NAN, 0.25, 0.5])])
    got = apply(Progress(), of)
    assert got.local_advantages.tolist() == [0.0, 0.0, 0.25, 0.25]
    assert got.readings["mrt/unmeasured"] == 2.0


def test_forced_answers_have_no_progress_and_traces_without_readings_are_an_error():
    of = batch([[2, 1]], [1.0, 0.0], labels=[{}, {"terminated": 1}], readings=[measured([0, 2], [0.0, 1.0])])
    assert apply(Progress(), of).local_advantages.tolist() == [1.0, 1.0, 0.0]
    with pytest.raises(RewardError, match="thinking"):
        apply(Progress(), batch([[2, 1]], [1.0, 0.0]))


def test_rewards_above_those_of_answering_at_once():
    stopped = [{"terminated": int(i % 4 < 2)} for i in range(8)]
    of = batch([[1] * 4, [1] * 4], [1.0, 0.0, 1.0, 0.0, NAN, 1.0, NAN, 1.0], labels=stopped)
    got = apply(TerminationBaseline(), of)
    assert got.rewards[[0, 1, 2, 3, 5, 7]].tolist() == [0.5, -0.5, 0.5, -0.5, 0.0, 0.0]
    assert got.ok.tolist() == of.ok.tolist()
    assert got.readings["pass_rate"] == pytest.approx(2 / 3)  # of continuations that were judged
    assert Continuations()(got).kept.tolist() == [False, False, True, True, False, False, False, True]


def test_a_group_without_a_judged_answer_leaves_the_step():
    stopped = [{"terminated": int(i % 3 == 0)} for i in range(6)]
    of = batch([[1] * 3, [1] * 3], [NAN, 1.0, 0.0, 1.0, 1.0, 0.0], labels=stopped)
    got = apply(TerminationBaseline(), of)
    assert got.ok.tolist() == got.kept.tolist() == [False, False, False, True, True, True]
    assert got.readings["mrt/no_baseline"] == 2.0
    assert got.rewards[3:].tolist() == [0.0, 0.0, -1.0]


def test_no_forced_answer_at_all_is_an_error():
    with pytest.raises(RewardError, match="continuation"):
        apply(TerminationBaseline(), batch([[1, 1]], [1.0, 0.0]))


def test_the_length_penalty_leaves_failures_and_what_was_not_judged():
    of = batch([[2, 4, 9, 5]], [1.0, 1.0, 0.0, NAN])
    got = apply(LengthPenalty(penalty=0.5), of)
    low, high = 1 - 0.5 / (1 + torch.e), 1 - 0.5 / (1 + 1 / torch.e)
    assert got.rewards[:3].tolist() == pytest.approx([low, high, 0.0])
    assert got.rewards[3].isnan()
    assert got.readings["pass_rate"] == pytest.approx(2 / 3)


def test_of_each_group_the_right_traces_with_the_most_progress_are_kept():
    gains = [0.5, 0.75, 0.75, 1.0, 0.0, 0.5]
    of = batch(
        [[1] * 4, [1] * 2], [1.0, 1.0, 1.0, 0.0, 1.0, 1.0],
        readings=[measured([0, 1], [0.0, g]) for g in gains],
    )  # fmt: skip
    assert MostProgress()(of).kept.tolist() == [False, True, False, False, False, True]
    assert MostProgress(keep=2)(of).kept.tolist() == [False, True, True, False, False, True]
    out = replace(of, kept=torch.tensor([True, False, True, True, True, False]))
    assert MostProgress(keep=3)(out).kept.tolist() == [True, False, True, False, False, False]
    with pytest.raises(RewardError, match="thinking"):
        MostProgress()(batch([[1]], [1.0]))


@pytest.mark.parametrize(
    ("piece", "options"),
    [
        (Progress, {"alpha": -0.1}),
        (LengthPenalty, {"penalty": 0.0}),
        (LengthPenalty, {"penalty": 1.0}),
        (MostProgress, {"keep": 0}),
    ],
)
def test_what_cannot_be_meant_is_refused(piece, options):
    with pytest.raises(RecipeError):
        piece(**options)
