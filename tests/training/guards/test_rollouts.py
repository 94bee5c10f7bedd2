"""The readings of rollouts against numbers by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from builders import groups_of, trajectory
from hone.core.batch import Batch, collect
from hone.core.trajectory import Segment
from hone.training.guards.rollouts import repeating, rollout_readings


def batch(rewards: list[float], answers: list[list[int]], ok: list[bool] | None = None) -> Batch:
    made = collect(groups_of([3] * len(answers), answers))
    good = torch.tensor(ok or [True] * len(rewards))
    return dataclasses.replace(made, rewards=torch.tensor(rewards, dtype=torch.float64), ok=good)


def written(*answers: list[int]) -> Batch:
    prompt = Segment(np.array([3], np.int32), "prompt")
    return collect(
        [
            trajectory(
                Segment(np.array(a, np.int32), "action", prompt, np.full(len(a), -1.5, np.float32)), 0, i
            )
            for i, a in enumerate(answers)
        ]
    )


def test_loops_are_found_whatever_their_period():
    loops = written(
        [9, 8] + [5] * 16,  # one token
        [1] + [5, 6] * 8,
        [5, 6, 7, 8] * 4,
        [5, 6, 7, 8, 9] * 4,  # three and a bit times in the last 16: no loop yet
        list(range(20)),
        [5] * 15,  # shorter than the tail
    )
    assert repeating(loops, 16) == pytest.approx(3 / 6)
    assert repeating(loops, 20) == pytest.approx(1 / 6)  # the longer period fits, the others are too short


@pytest.mark.parametrize(
    ("rewards", "answers", "ok", "share"),
    [
        ([1, 1, 0, 1], [[1, 1], [1, 1]], None, 0.5),
        ([1, 1, 0, 0], [[1, 1], [1, 1]], None, 1.0),
        ([1, 0, 0, 1], [[1, 1], [1, 1]], None, 0.0),
        ([1, 1, 0, 1], [[1, 1], [1, 1]], [True, True, True, False], 1.0),  # a group of one is none
        ([1, 1], [[1], [1]], None, 1.0),  # groups of one: the batch is the group
        ([1, 0], [[1], [1]], None, 0.0),
        ([1, 0], [[1], [1]], [True, False], None),
        ([1, 0], [[1], [1]], [False, False], None),
    ],
)
def test_constant_rewards(rewards, answers, ok, share):
    assert rollout_readings(batch(rewards, answers, ok), 64).constant == share


def test_reward_and_length_within_groups():
    follows = batch([1.0, 2.0, 3.0, 7.0, 8.0], [[1, 2, 3], [4, 5]])
    assert rollout_readings(follows, 64).length_reward == pytest.approx(1.0)
    against = batch([3.0, 2.0, 1.0], [[1, 2, 3]])
    assert rollout_readings(against, 64).length_reward == pytest.approx(-1.0)
    between_groups_alone = batch([1.0, 1.0, 9.0, 9.0], [[1, 2], [8, 9]])
    assert rollout_readings(between_groups_alone, 64).length_reward is None
    x, y = np.array([1, 2, 4, 3.0]), np.array([0, 1, 1, 0.0])
    found = rollout_readings(batch(y.tolist(), [[1, 2, 4, 3]]), 64).length_reward
    assert found == pytest.approx(np.corrcoef(x, y)[0, 1])


def test_the_rest():
    now = rollout_readings(written([5, 6], [7, 8, 9, 1]), 64)
    assert (now.entropy, now.length, now.truncated, now.repetition) == (1.5, 3.0, 0.0, 0.0)
    nothing = rollout_readings(batch([1.0], [[2]], [False]), 64)
    assert (nothing.reward, nothing.constant, nothing.length_reward) == (None, None, None)
