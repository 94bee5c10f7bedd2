"""Units of credit: rollouts, attempts of several trajectories, parts and variants."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from builders import segment
from hone.core.batch import Batch, collect
from hone.core.errors import RewardError
from hone.core.problem import Problem
from hone.core.trajectory import Trajectory
from hone.core.units import units


def made(*labels: dict[str, int], problems: str = "") -> Batch:
    """A batch of one-token rollouts; `problems` names the problem of each by a letter."""
    rng = np.random.default_rng(0)
    out = []
    for i, each in enumerate(labels):
        name = problems[i] if problems else str(each["group"])
        leaf = segment(rng, 1, "action", segment(rng, 2, "prompt"))
        out.append(Trajectory(Problem(name, "a", "t"), leaf, "", "stop", {"rollout": i, **each}))
    return collect(out)


def test_every_rollout_is_a_unit_of_its_group():
    found = units(made({"group": 3}, {"group": 0}, {"group": 3}))
    assert found.groups.tolist() == [0, 1, 1]
    assert found.first.tolist() == [1, 0, 2]
    assert found.of.tolist() == [1, 0, 2]


def test_parts_of_a_group_are_compared_apart():
    found = units(made({"group": 0, "part": 0}, {"group": 0, "part": 1}, {"group": 0, "part": 1}))
    assert found.groups[found.of].tolist() == [0, 1, 1]


def test_trajectories_of_an_attempt_are_one_unit_with_one_reward():
    batch = made(*({"group": 0, "attempt": a} for a in (0, 0, 1, 1, 1)))
    paid = dataclasses.replace(batch, rewards=torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]))
    found = units(paid)
    assert found.of.tolist() == [0, 0, 1, 1, 1]
    assert paid.rewards[found.first].tolist() == [1.0, 0.0]
    torn = dataclasses.replace(batch, rewards=torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]))
    with pytest.raises(RewardError, match="different rewards"):
        units(torn)


def test_variants_of_a_problem_are_one_group_if_asked():
    batch = made({"group": 0}, {"group": 1}, {"group": 2}, problems="xyx")
    assert len(set(units(batch).groups.tolist())) == 3
    found = units(batch, "problem")
    assert found.groups[found.of].tolist() == [0, 1, 0]
