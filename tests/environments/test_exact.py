"""Exact tables of the key-door line against the environment itself, played and enumerated."""

from __future__ import annotations

import numpy as np

from hone.environments.exact import advantages, success, tables
from hone.environments.key_door import KeyDoor


def random_policy(states: int, seed: int = 0) -> np.ndarray:
    policy = np.random.default_rng(seed).uniform(0.2, 0.8, (states, 2))
    return policy / policy.sum(-1, keepdims=True)


def test_values_satisfy_the_bellman_equation_and_advantages_have_mean_zero():
    of, discount = tables(5), 0.9
    policy = random_policy(10)
    found, values = advantages(of, policy, discount)
    for state in np.flatnonzero(of.real):
        worth = [1.0 if of.solved[state, a] else discount * values[of.following[state, a]] for a in (0, 1)]
        assert np.isclose(values[state], policy[state] @ worth)
        assert np.allclose(found[state], worth - values[state])
    assert np.allclose((policy * found).sum(-1), 0)


def test_success_is_the_sum_over_all_lists_of_actions():
    of = tables(5, horizon=9)
    policy = random_policy(10, 1)
    total = 0.0
    for code in range(2**9):
        line, chance = KeyDoor(5, 9), 1.0
        line.reset(0)
        for t in range(9):
            action = code >> t & 1
            chance *= policy[line.place + 5 * line.key, action]
            step = line.step("LR"[action])
            if step.done:
                total += chance * step.reward / 2 ** (8 - t)  # once for every list that begins so
                break
    assert np.isclose(float(success(of, policy)), total)


def test_several_policies_at_once_are_each_its_own():
    of = tables(7)
    both = np.stack([random_policy(14, s) for s in (2, 3)])
    assert np.allclose(success(of, both), [success(of, p) for p in both])
    assert np.allclose(advantages(of, both, 0.95)[0], [advantages(of, p, 0.95)[0] for p in both])
