"""Deal a whole number of rollouts out in proportion to weights, within bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HALVINGS = 200  # of the bracket around the scale: more than float64 can tell apart


def apportion(weights: Sequence[float], total: int, low: int, high: int) -> list[int]:
    """Whole numbers in [`low`, `high`] that sum to `total`, as nearly in proportion to `weights` (> 0) as can be.

    The real shares are clip(c w, low, high) with c such that they sum to `total`: what minimises Σ w² / n under the
    bounds. They are rounded down, and what is left goes to the largest remainders, the earlier of equal ones first.
    Raises ValueError where no such numbers exist.
    """
    w = np.asarray(weights, dtype=float)
    if not len(w) * low <= total <= len(w) * high or not (w > 0).all():
        raise ValueError(f"{total} cannot be dealt to {len(w)} shares of {low} to {high} by {weights}")
    below, above = 0.0, high / float(w.min())
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        if np.clip(middle * w, low, high).sum() < total:
            below = middle
        else:
            above = middle
    shares = np.clip(above * w, low, high)
    counts = np.floor(shares).astype(int)
    remainders = np.where(counts < high, shares - counts, -1.0)
    order = np.lexsort((np.arange(len(w)), -remainders))
    counts[order[: total - int(counts.sum())]] += 1
    return [int(n) for n in counts]
