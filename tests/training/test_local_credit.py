"""Credit for a token alone, and credit for attempts of several trajectories."""

from __future__ import annotations

import dataclasses

import torch

from builders import groups_of
from hone.catalog import build_method
from hone.core.batch import collect
from hone.recipes.load import resolve
from hone.training.losses import silent_rollouts
from hone.training.stages import assign


def method(**keys):
    return build_method(resolve({"task": "maze", "method": "rloo", **keys})[0])


def paid(rewards, **fields):
    batch = collect(groups_of([2], [[2, 3, 1]]))
    return dataclasses.replace(batch, rewards=torch.tensor(rewards, dtype=torch.float64), **fields)


def test_local_advantages_are_added_to_those_of_outcomes():
    local = torch.tensor([0.5, 0.0, 0.0, -1.0, 0.0, 0.25])
    plain = assign(method(), paid([1.0, 0.0, 0.0]))
    both = assign(method(), paid([1.0, 0.0, 0.0], local_advantages=local))
    torch.testing.assert_close(both.advantages - plain.advantages, local)


def test_a_rollout_with_local_credit_alone_is_not_silent():
    local = torch.tensor([0.0, 0.0, 0.0, -1.0, 0.0, 0.0])
    batch = assign(method(), paid([1.0, 1.0, 1.0], local_advantages=local))
    batch = dataclasses.replace(batch, weights=torch.ones(6))
    assert silent_rollouts(method(), batch).tolist() == [True, False, True]


def test_a_rollout_without_verdict_has_no_local_credit_either():
    local = torch.ones(6)
    ok = torch.tensor([True, True, False])
    batch = assign(method(), paid([1.0, 0.0, float("nan")], local_advantages=local, ok=ok, kept=ok))
    assert float(batch.advantages[-1]) == 0.0


def test_attempts_weigh_alike_however_many_trajectories_they_have():
    attempts = torch.tensor([0, 1, 1])
    batch = assign(method(), paid([1.0, 0.0, 0.0], attempts=attempts))
    assert batch.advantages.tolist() == [1.0, 1.0, -1.0, -1.0, -1.0, -1.0]
