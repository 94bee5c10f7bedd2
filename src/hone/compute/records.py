"""Record-breaking readings, the frontier that they draw, and how far noise lifts it above the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hone.compute.estimate import Estimate, percentile_estimate
from hone.compute.series import check_readings
from hone.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class StepFunction:
    """f(C) = the largest reward of all readings at compute up to C: its jumps, compute and reward both increasing."""

    compute: Float[np.ndarray, "jumps"]
    reward: Float[np.ndarray, "jumps"]

    def at(self, compute: npt.ArrayLike) -> Any:
        """f at a compute, a float or an array; nan before the first reading."""
        index = np.searchsorted(self.compute, np.asarray(compute, dtype=np.float64), side="right")
        value = np.concatenate([[np.nan], self.reward])[index]
        return float(value) if value.ndim == 0 else value


def frontier_of_points(compute: npt.ArrayLike, reward: npt.ArrayLike) -> StepFunction:
    """The raw frontier of readings in any order, of one run or of many."""
    c, r = _readings(compute, reward)
    order = np.lexsort((-r, c))  # of equal compute the best first
    c, r = c[order], r[order]
    jumps = np.concatenate([[True], r[1:] > np.maximum.accumulate(r)[:-1]])
    return StepFunction(c[jumps], r[jumps])


def record_breaking(
    compute: npt.ArrayLike, reward: npt.ArrayLike, *, bins: int | None = None
) -> Int[np.ndarray, "records"]:
    """Indices of the readings above everything at less compute, in order of compute.

    With `bins`, rewards are first rounded down to that many equal bins of [0, 1], so that only a rise by a whole bin
    is a record: fewer points, less noise. Without, the frontier of the records is that of all readings, exactly.
    Source: IsoCompute Playbook (arXiv 2603.12151).
    """
    c, r = _readings(compute, reward)
    if bins is not None:
        if bins < 1:
            raise DataError(f"`bins` is {bins}.", "It is a number of equal parts of [0, 1]: at least 1.")
        r = np.floor(r * bins)
    order = np.argsort(c, kind="stable")
    highest = np.concatenate([[-np.inf], np.maximum.accumulate(r[order])])
    before = np.searchsorted(c[order], c[order], side="left")  # how many readings are at less compute
    return np.asarray(order[r[order] > highest[before]])


@dataclass(frozen=True)
class RecordBias:
    """How far the raw frontier lies above that of the true rewards. Limits are of one redrawing, not of the mean.

    `end` is at the largest compute, `mean` is over the readings. The frontier is a maximum of noisy numbers, so it
    lies too high, the more so the fewer problems stand behind a reading and the more readings there are.
    """

    end: Estimate
    mean: Estimate


def record_bias(
    compute: npt.ArrayLike,
    truth: npt.ArrayLike,
    problems: npt.ArrayLike,
    *,
    bins: int | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> RecordBias:
    """Measure the bias by parametric bootstrap: redraw every reading from its noise around a true reward.

    `truth` [points] are the rewards of a smooth curve at the readings, a fitted one as a rule; a reading of m
    `problems` is redrawn as binomial(m, truth) / m.
    """
    c, r = _readings(compute, truth)
    m = np.asarray(problems)
    if m.shape != c.shape or (m < 1).any():
        raise DataError("`problems` is not one count, at least 1, for each reading.", "Count the problems.")
    rng = np.random.default_rng(seed)
    true = frontier_of_points(c, r).at(c)
    last = int(np.argmax(c))
    gaps = np.empty((resamples, len(c)))
    for row, drawn in enumerate(rng.binomial(m, r, size=(resamples, len(c))) / m):
        kept = record_breaking(c, drawn, bins=bins)
        gaps[row] = frontier_of_points(c[kept], drawn[kept]).at(c) - true
    means = gaps.mean(axis=1)
    return RecordBias(
        end=percentile_estimate(float(gaps[:, last].mean()), gaps[:, last]),
        mean=percentile_estimate(float(means.mean()), means),
    )


def _readings(compute: npt.ArrayLike, reward: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    c, r = np.asarray(compute, dtype=np.float64), np.asarray(reward, dtype=np.float64)
    check_readings(c, r, "Frontier")
    return c, r
