"""The key-door line as tables: exact values and advantages by dynamic programming, success by forward recursion.

Axes: `S` states, two actions. A state is (place, whether the key is held): index place for no key, length + place with
it. The door with the key is the end; the key's cell without the key is never met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hone.environments.key_door import KeyDoor

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Tables:
    """`following[S, 2]` is the next state, `solved[S, 2]` whether the action opens the door, `real[S]` whether a
    decision is ever made in a state, `start` where an attempt begins, `horizon` its most steps."""

    following: Int[np.ndarray, "states 2"]
    solved: Bool[np.ndarray, "states 2"]
    real: Bool[np.ndarray, "states"]
    start: int
    horizon: int


def tables(length: int, horizon: int = 0) -> Tables:
    """The tables of `KeyDoor(length, horizon)`."""
    line = KeyDoor(length, horizon)
    following = np.zeros((2 * length, 2), dtype=np.int64)
    solved = np.zeros((2 * length, 2), dtype=bool)
    real = np.ones(2 * length, dtype=bool)
    real[[0, 2 * length - 1]] = False
    for state in np.flatnonzero(real):
        for action in (0, 1):
            line.place, line.key = int(state) % length, bool(state >= length)
            reward, _ = line.move(action)
            following[state, action] = line.place + length * line.key
            solved[state, action] = reward > 0
    return Tables(following, solved, real, length // 2, line.horizon)


def advantages(
    of: Tables, policy: Float[np.ndarray, "... states 2"], discount: float
) -> tuple[Float[np.ndarray, "... states 2"], Float[np.ndarray, "... states"]]:
    """Exact advantages and values of `policy` without a horizon, for a `discount` below 1. Zero where not `real`.

    Solves V = π (r + discount P V).
    """
    states = len(of.real)
    lead = policy.shape[:-2]
    moves = np.zeros((*lead, states, states))
    for action in (0, 1):
        open_ones = of.real & ~of.solved[:, action]
        at = np.flatnonzero(open_ones)
        moves[..., at, of.following[at, action]] += policy[..., at, action]
    reward = (policy * of.solved).sum(-1) * of.real
    values = np.linalg.solve(np.eye(states) - discount * moves, reward[..., None])[..., 0]
    after = np.where(of.solved, 1.0, discount * values[..., of.following])
    return (after - values[..., None]) * of.real[:, None], values


def success(of: Tables, policy: Float[np.ndarray, "... states 2"]) -> Float[np.ndarray, "..."]:
    """Probability that `policy` opens the door within the horizon."""
    lead = policy.shape[:-2]
    mass = np.zeros((*lead, len(of.real)))
    mass[..., of.start] = 1.0
    won = np.zeros(lead)
    for _ in range(of.horizon):
        chosen = mass[..., None] * policy
        won = won + (chosen * of.solved).sum((-1, -2))
        mass = np.zeros_like(mass)
        for action in (0, 1):
            going = np.where(of.solved[:, action], 0.0, chosen[..., action])
            for state, after in enumerate(of.following[:, action]):
                mass[..., after] += going[..., state]
    return won
