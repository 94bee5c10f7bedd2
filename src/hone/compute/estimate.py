"""A number with its 95% limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """`value` with the limits of its 95% interval; nan limits if there is no interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | None]:
        """{"value", "low", "high"} for JSON, which knows no nan: None."""
        return {
            name: (float(number) if np.isfinite(number) else None)
            for name, number in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def percentile_estimate(value: float, replicates: npt.ArrayLike) -> Estimate:
    """`value` with the central 95% of its bootstrap `replicates`. Limits never exclude the value itself."""
    draws = np.asarray(replicates, dtype=np.float64)
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))
