"""Readings of one or several runs, merged where their compute is all but equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jaxtyping import Float, Int

WIDTH = 0.02


@dataclass(frozen=True)
class Pooled:
    """Readings in increasing order of compute, and the weight of each."""

    compute: Float[np.ndarray, "points"]
    reward: Float[np.ndarray, "points"]
    weight: Float[np.ndarray, "points"]


def bins(compute: Float[np.ndarray, "readings"]) -> Int[np.ndarray, "readings"]:
    """The bin of each reading, 0, 1, ... in order of compute: readings within 2% of a bin's first one are in it.

    A curve of reward against log compute bends so little over 2% that fitting the bins' means is fitting the
    readings; a run of hundreds of steps becomes a third as many points. Compute 0 is a bin of its own.
    """
    levels, index = np.unique(compute, return_inverse=True)
    number = np.zeros(len(levels), dtype=np.int64)
    first = levels[0]
    for at, level in enumerate(levels[1:], start=1):
        new = level > first * (1 + WIDTH)
        number[at] = number[at - 1] + new
        first = level if new else first
    return np.asarray(number[index])


def pool(compute: npt.ArrayLike, reward: npt.ArrayLike, weight: npt.ArrayLike) -> Pooled:
    """Weighted means of compute and reward in every bin."""
    c, r, w = (np.asarray(x, dtype=np.float64) for x in (compute, reward, weight))
    index = bins(c)
    total = np.bincount(index, weights=w)
    return Pooled(np.bincount(index, weights=w * c) / total, np.bincount(index, weights=w * r) / total, total)
