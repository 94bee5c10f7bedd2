"""How much readings scatter around a curve, against the binomial noise of one rollout a problem."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SURE = 0.02  # standard deviations are not taken closer to a reward of 0 or 1 than this


def scatter(reward: npt.ArrayLike, smooth: npt.ArrayLike, problems: npt.ArrayLike) -> float:
    """Mean of problems (reward - smooth)^2 / (smooth (1 - smooth)): 1 for one rollout a problem, less for many.

    Many rollouts leave the differences between problems alone. Above 1 where the curve misses the readings.
    """
    r, s, m = (np.asarray(x, dtype=np.float64) for x in (reward, smooth, problems))
    return float(np.mean(m * (r - s) ** 2 / variance(s)))


def variance(smooth: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Of one rollout at a pass rate."""
    inner = np.clip(np.asarray(smooth, dtype=np.float64), _SURE, 1 - _SURE)
    return np.asarray(inner * (1 - inner))
