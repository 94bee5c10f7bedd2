"""The logistic that says how the best number grows with the budget: log2 n*(C) between a floor and a ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hone.core.errors import DataError

Against = Literal["log10", "steps"]


@dataclass(frozen=True)
class Logistic:
    """log2 of the best number = L / (1 + exp(-k (x - midpoint))) + b.

    x is log10 of the compute for `against="log10"`, and the number of steps itself for `"steps"` (a fixed batch).
    L > 0; the number lies between 2^b and 2^(L + b), rises with x for k > 0 and falls for k < 0. `unit` is that of
    the compute, or "steps". Source: IsoCompute Playbook (arXiv 2603.12151).
    """

    L: float
    k: float
    midpoint: float
    b: float
    against: Against
    unit: str

    def log2_at(self, amount: npt.ArrayLike) -> Any:
        """log2 of the best number for a compute (or number of steps), a float or an array. DataError unless > 0."""
        x = regressor(amount, self.against)
        y = self.b + self.L * _expit(self.k * (x - self.midpoint))
        return float(y) if y.ndim == 0 else y

    def at(self, amount: npt.ArrayLike) -> Any:
        """The best number for a compute (or number of steps), a float or an array."""
        return 2.0 ** self.log2_at(amount)


def regressor(amount: npt.ArrayLike, against: Against) -> npt.NDArray[np.float64]:
    """What the logistic is linear in: log10 of compute, or steps as they are. DataError unless positive, finite."""
    x = np.asarray(amount, dtype=np.float64)
    if not np.isfinite(x).all() or (x <= 0).any():
        raise DataError("A budget is not a positive number.", "Give compute or steps above 0.")
    return np.log10(x) if against == "log10" else x


def _expit(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from scipy.special import expit

    return np.asarray(expit(x))
