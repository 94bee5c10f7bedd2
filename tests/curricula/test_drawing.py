"""Curricula that look at what a step has sampled so far: which problems they draw, how often, and when they end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hone.core.batch import collect
from hone.core.errors import RecipeError
from hone.core.problem import Problem, Verdict
from hone.core.signal import by_group, has_signal, with_signal
from hone.core.stages import Request
from hone.core.trajectory import Segment, Trajectory
from hone.curricula import DynamicSampling, EarlyStop, Uniform
from hone.selectors import ZeroVariance


class Endless:
    name = "endless"

    def size(self, split: str = "train") -> None:
        return None

    def problem(self, index: int, split: str = "train") -> Problem:
        return Problem(str(index), index, "endless")


TASK = Endless()


def answers(requests: list[Request], rewards: list[str]) -> list[Trajectory]:
    """A verdict for each digit; `e` is an error."""
    out = []
    for request, row in zip(requests, rewards, strict=True):
        assert len(row) == request.count
        first = len(request.drawn)
        prompt = request.drawn[0].segments[0] if first else Segment(np.zeros(1, np.int32), "prompt")
        for i, value in enumerate(row):
            leaf = Segment(np.zeros(1, np.int32), "action", prompt, np.zeros(1, np.float32))
            verdict = Verdict(None, "error") if value == "e" else Verdict(float(value))
            labels = {"group": request.group, "rollout": first + i}
            out.append(Trajectory(request.problem, leaf, "", "stop", labels, verdict=verdict))
    return out


def batch_of(trajectories: list[Trajectory]):
    rewards = [float("nan") if t.verdict.reward is None else t.verdict.reward for t in trajectories]
    values = torch.tensor(rewards, dtype=torch.float64)
    return replace(collect(trajectories), rewards=values, ok=~values.isnan(), kept=~values.isnan())


def drawn(curriculum, rounds: list[list[str]], state=None):
    """The requests of every round, and the state and trajectories at the end."""
    state = curriculum.init(TASK, 0) if state is None else state
    so_far, found = [], []
    for rewards in rounds:
        requests, state = curriculum.draw(state, TASK, 1, so_far)
        found.append(requests)
        so_far += answers(requests, rewards)
    requests, state = curriculum.draw(state, TASK, 1, so_far)
    return [*found, requests], state, so_far


def test_signal_is_two_rewards_that_differ():
    groups = [Request(TASK.problem(i), 3, i) for i in range(5)]
    found = answers(groups, ["010", "000", "1ee", "0e1", "eee"])
    assert [has_signal(g) for g in by_group(found).values()] == [True, False, False, True, False]
    batch = batch_of(found)
    assert with_signal(batch).tolist() == [True] * 3 + [False] * 6 + [True] * 3 + [False] * 3
    kept = ZeroVariance()(batch).kept.tolist()
    assert kept == [True] * 3 + [False] * 6 + [True, False, True] + [False] * 3


def test_dynamic_sampling_draws_what_is_missing_until_it_is_there():
    curriculum = DynamicSampling(2, 3)
    rounds, state, so_far = drawn(curriculum, [["01", "00", "11"], ["00", "10"], ["01"]])
    assert [[r.group for r in requests] for requests in rounds] == [[0, 1, 2], [3, 4], [5], []]
    ids = [r.problem.id for requests in rounds for r in requests]
    assert ids == [Uniform().problem(TASK, i).id for i in range(6)]  # fresh ones, in the order of the stream
    assert state == {"position": 6, "refills": 0}
    batch = batch_of(so_far)
    assert curriculum.report(batch) == {"signal/refilled_rollouts": 6, "signal/dropped_rollouts": 6}
    later, _ = curriculum.draw(state, TASK, 2, [])
    assert later[0].problem.id == Uniform().problem(TASK, 6).id


def test_dynamic_sampling_gives_up_after_its_refills():
    rounds, state, _ = drawn(DynamicSampling(2, 2, max_refills=2), [["00", "01"], ["00"], ["11"]])
    assert [len(requests) for requests in rounds] == [2, 1, 1, 0]
    assert state == {"position": 4, "refills": 0}
    rounds, _, _ = drawn(DynamicSampling(2, 2, max_refills=2), [["00", "01"]], state)
    assert [len(requests) for requests in rounds] == [2, 1]  # the next step has its own refills


def test_early_stop_goes_on_with_groups_that_have_no_signal():
    curriculum = EarlyStop(6, 3, 0, 2)
    rounds, state, so_far = drawn(curriculum, [["01", "00", "1e"], ["00", "11"], ["01", "01"]])
    assert [[r.group for r in requests] for requests in rounds] == [[0, 1, 2], [1, 2], [1, 2], []]
    assert all(r.count == 2 for requests in rounds for r in requests)
    assert [len(r.drawn) for r in rounds[2]] == [4, 4]
    assert rounds[1][0].problem.id == rounds[0][1].problem.id
    assert state == {}
    assert [len(g) for g in by_group(so_far).values()] == [2, 6, 6]
    assert curriculum.report(batch_of(so_far)) == {"signal/stopped_rollouts": 4}


@pytest.mark.parametrize("round", [1, 3, 8, 9])
def test_rounds_that_do_not_fit(round: int):
    with pytest.raises(RecipeError, match=r"curriculum.round"):
        EarlyStop(8, 3, 0, round)


@pytest.mark.parametrize("refills", [0, 1001])
def test_refills_out_of_bounds(refills: int):
    with pytest.raises(RecipeError, match="max_refills"):
        DynamicSampling(max_refills=refills)
