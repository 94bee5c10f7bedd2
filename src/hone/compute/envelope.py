"""The upper envelope of fitted curves: which is best at each compute, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hone.compute.estimate import CONFIDENCE
from hone.compute.recipe_curve import RecipeCurve

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

AVERAGED = 5  # grid points in the running average of n*(C)


@dataclass(frozen=True)
class Envelope:
    """The best of the curves at each compute, with 95% limits; nan where no curve is a candidate.

    `gap` is the best reward minus the best of another value of the key: its limits leave out 0 where the difference is
    real. `candidates` are the curves that were measured that far. `choice` is the best curve in every row of the
    bootstrap, row 0 that of the fits.
    """

    reward: Float[np.ndarray, "points"]
    reward_low: Float[np.ndarray, "points"]
    reward_high: Float[np.ndarray, "points"]
    gap: Float[np.ndarray, "points"]
    gap_low: Float[np.ndarray, "points"]
    gap_high: Float[np.ndarray, "points"]
    candidates: Bool[np.ndarray, "curves points"] = field(repr=False)
    choice: Int[np.ndarray, "rows points"] = field(repr=False)


@dataclass(frozen=True)
class Track:
    """The best value of a key along compute: n*(C), say.

    `value` is the one measured value whose fitted curve is highest, `low` and `high` are 95% limits (measured values
    too), `smooth` is the running geometric average over 5 points of the grid. `identified` is False where the limits
    span all values that were measured up to this compute, or there is only one: the data do not say which is best.
    """

    compute: Float[np.ndarray, "points"]
    value: Float[np.ndarray, "points"]
    low: Float[np.ndarray, "points"]
    high: Float[np.ndarray, "points"]
    smooth: Float[np.ndarray, "points"]
    identified: Bool[np.ndarray, "points"]


def envelope_of(
    curves: Sequence[RecipeCurve],
    values: Float[np.ndarray, "curves"],
    compute: Float[np.ndarray, "points"],
    max_extrapolation: float,
) -> Envelope:
    """The envelope over curves that reach a compute, up to `max_extrapolation` times their reach."""
    reach = np.array([curve.reach for curve in curves]) * max_extrapolation
    candidates = compute <= reach[:, None] * (1 + 1e-9)
    rows = np.stack([curve.rewards_at(compute) for curve in curves])  # [curves, rows, points]
    rows = np.where(candidates[:, None], rows, -np.inf)
    choice = rows.argmax(axis=0)
    reward = rows.max(axis=0)
    # The rival is the best curve with another value than the best of the fits has.
    same = values[:, None] == values[choice[0]]
    with np.errstate(invalid="ignore"):
        own = np.where(same[:, None], rows, -np.inf).max(axis=0)
        gap = own - np.where(same[:, None], -np.inf, rows).max(axis=0)
    return Envelope(
        *_with_limits(np.where(np.isfinite(reward), reward, np.nan)),
        *_with_limits(np.where(np.isfinite(gap), gap, np.nan)),
        candidates=candidates,
        choice=choice,
    )


def track_of(
    envelope: Envelope, compute: Float[np.ndarray, "points"], values: Float[np.ndarray, "curves points"]
) -> Track:
    """What the choice means in terms of a key whose value for each curve is in `values`."""
    at = np.arange(len(compute))
    chosen = values[envelope.choice, at]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(chosen[1:], [tail, 1 - tail], axis=0, method="inverted_cdf")
    low, high = np.minimum(low, chosen[0]), np.maximum(high, chosen[0])
    least = np.where(envelope.candidates, values, np.inf).min(axis=0)
    most = np.where(envelope.candidates, values, -np.inf).max(axis=0)
    known = envelope.candidates.any(axis=0)
    value, low, high = (np.where(known, column, np.nan) for column in (chosen[0], low, high))
    return Track(
        compute=compute,
        value=value,
        low=low,
        high=high,
        smooth=geometric_average(value),
        identified=known & ((low > least) | (high < most)),
    )


def geometric_average(values: Float[np.ndarray, "points"]) -> Float[np.ndarray, "points"]:
    """Running geometric mean over 5 points, fewer at the ends."""
    half = AVERAGED // 2
    log = np.log(values)
    return np.exp([log[max(0, at - half) : at + half + 1].mean() for at in range(len(values))])


def _with_limits(rows: Float[np.ndarray, "rows points"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row 0, and the central 95% of the others, widened to hold it."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(rows[1:], [tail, 1 - tail], axis=0)
    return rows[0], np.fmin(low, rows[0]), np.fmax(high, rows[0])
