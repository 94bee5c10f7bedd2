"""Least squares for the two end values of a curve whose shape is known: reward = start + (end - start) * shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float


class Moments(NamedTuple):
    """Weighted sums over the readings; `shape` sums are [replicates, shapes], the others [replicates, 1]."""

    weight: Float[np.ndarray, "replicates 1"]
    reward: Float[np.ndarray, "replicates 1"]
    reward2: Float[np.ndarray, "replicates 1"]
    shape: Float[np.ndarray, "replicates shapes"]
    shape2: Float[np.ndarray, "replicates shapes"]
    both: Float[np.ndarray, "replicates shapes"]

    def loss(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Weighted sum of squared residuals, [replicates, shapes]."""
        rise = end - start
        fit2 = start**2 * self.weight + 2 * start * rise * self.shape + rise**2 * self.shape2
        return self.reward2 - 2 * start * self.reward - 2 * rise * self.both + fit2


def moments(
    shapes: Float[np.ndarray, "*replicates shapes points"],
    rewards: Float[np.ndarray, "replicates points"],
    weights: Float[np.ndarray, "replicates points"],
) -> Moments:
    """The sums that every fit of these shapes needs. `shapes` is one table for all replicates, or one for each."""
    weighted = weights * rewards

    def along(table: np.ndarray, values: np.ndarray) -> np.ndarray:
        if table.ndim == 2:
            return np.asarray(values @ table.T)
        return np.asarray((table @ values[:, :, None])[:, :, 0])

    return Moments(
        weight=weights.sum(axis=1, keepdims=True),
        reward=weighted.sum(axis=1, keepdims=True),
        reward2=(weighted * rewards).sum(axis=1, keepdims=True),
        shape=along(shapes, weights),
        shape2=along(shapes**2, weights),
        both=along(shapes, weighted),
    )


def fixed_start(
    sums: Moments, start: Float[np.ndarray, "replicates 1"], step: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Best end in [start, 1] for each shape, and its loss; both [replicates, shapes].

    With a `step`, the end is a multiple of it above `start`. The loss is quadratic in the end, so the multiple
    nearest to the best real number is the best multiple: no search over them is needed.
    """
    rise = _ratio(sums.both - start * sums.shape, sums.shape2)
    end = np.clip(start + rise, start, 1.0)
    if step is not None:
        end = np.clip(np.round(end / step) * step, lowest_end(start, step), 1.0)
    return end, sums.loss(start, end)


def known_end(
    sums: Moments, start: Float[np.ndarray, "replicates 1"] | None, end: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start (the best in [0, end] if it is None), the end that was given, and the loss; all [replicates, shapes]."""
    if start is None:
        # end - reward = (end - start) (1 - shape)
        rest = sums.weight - 2 * sums.shape + sums.shape2
        gap = _ratio(end * (sums.weight - sums.shape) - sums.reward + sums.both, rest)
        start = end - np.clip(gap, 0.0, end)
    ends = np.full(sums.shape.shape, end)
    return np.broadcast_to(start, ends.shape), ends, sums.loss(start, ends)


def lowest_end(start: Float[np.ndarray, "replicates 1"], step: float) -> np.ndarray:
    """The first multiple of `step` above `start`, at most 1."""
    return np.minimum((np.floor(start / step + 1e-9) + 1) * step, 1.0)


def free_ends(sums: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best start and end with 0 <= start <= end <= 1 for each shape, and the loss; all [replicates, shapes].

    The loss is convex, so its minimum over that triangle is the unconstrained one, or lies on one of three edges.
    """
    mean = sums.shape / sums.weight
    spread = sums.shape2 - mean * sums.shape
    rise = _ratio(sums.both - mean * sums.reward, spread)
    start = sums.reward / sums.weight - rise * mean
    end = start + rise
    inside = (start >= 0) & (rise >= 0) & (end <= 1)
    level = np.broadcast_to(np.clip(sums.reward / sums.weight, 0.0, 1.0), start.shape)
    from_zero = np.clip(_ratio(sums.both, sums.shape2), 0.0, 1.0)
    edges = [(level, level), (np.zeros_like(start), from_zero), known_end(sums, None, 1.0)[:2]]
    best_start, best_end = start, end
    best = np.where(inside, sums.loss(start, end), np.inf)
    for edge_start, edge_end in edges:
        loss = sums.loss(edge_start, edge_end)
        better = ~inside & (loss < best)
        best_start = np.where(better, edge_start, best_start)
        best_end = np.where(better, edge_end, best_end)
        best = np.where(better, loss, best)
    return best_start, best_end, best


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, and 0 where the whole is nothing: a shape that is flat on the data explains no rise."""
    usable = whole > 1e-12
    return np.where(usable, part / np.where(usable, whole, 1.0), 0.0)
