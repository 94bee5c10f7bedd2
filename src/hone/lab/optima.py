"""Where the maximum lies: n*(C) of simulated grids, and the statistics that claims are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def records(readings: Float[np.ndarray, "... budgets"]) -> Float[np.ndarray, "... budgets"]:
    """The best reading so far: what a run has to offer within each budget. Readings are exact, so it has no bias."""
    return np.asarray(np.maximum.accumulate(readings, axis=-1))


def best_n(
    records: Float[np.ndarray, "n problems seeds budgets"],
    sizes: Sequence[int],
    seeds: Int[np.ndarray, "chosen"],
) -> Float[np.ndarray, "budgets"]:
    """log2 of the n that attains the maximum, over both axes of the grid, of the mean over `seeds`.

    Cells that were not run are NaN. Of equal ones the smallest n is taken.
    """
    mean = records[:, :, seeds].mean(axis=2)
    over_problems = np.where(np.isnan(mean), -np.inf, mean).max(axis=1)
    return np.asarray(np.log2(np.asarray(sizes, dtype=np.float64))[over_problems.argmax(axis=0)])


def largest_fall(curve: Float[np.ndarray, "budgets"]) -> float:
    """How far a curve falls at most from any point to a later one; 0 for one that never falls."""
    return float((np.maximum.accumulate(curve) - curve).max())


def range_over(values: Float[np.ndarray, "cells"]) -> float:
    """Largest less smallest."""
    return float(values.max() - values.min())


def cross_tuned(readings: Float[np.ndarray, "rates seeds budgets"]) -> Float[np.ndarray, "seeds budgets"]:
    """Readings at the best rate of each budget: chosen by the mean of the other half of the seeds (even, odd).

    So a seed is never read at a rate that was chosen on it.
    """
    out = np.empty(readings.shape[1:])
    for half in (0, 1):
        best = readings[:, 1 - half :: 2].mean(axis=1).argmax(axis=0)
        mine = readings[:, half::2]
        out[half::2] = np.take_along_axis(mine, best[None, None, :], axis=0)[0]
    return out


def steps_to(readings: Float[np.ndarray, "seeds steps"], target: float) -> Float[np.ndarray, "seeds"]:
    """Steps until a reading reaches `target`, where column s is after s + 1 steps; all of them if none does."""
    reached = readings >= target
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), readings.shape[1] - 1)
    return np.asarray(first + 1, dtype=np.float64)
