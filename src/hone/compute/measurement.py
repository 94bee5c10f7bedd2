"""What a plan knows of a base model that was measured: pass rates on some problems, and the cost of a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hone.compute.rollout_cost import RolloutCost

BARS = 10  # bins of the histogram; rates of exactly 1 are in the last one


@dataclass(frozen=True)
class Measurement:
    """`samples` answers to each of some training problems, judged. `rates` is one pass rate a problem.

    `train_problems` is how many the task has, None if they are made as they are drawn. `truncated` is the share of
    answers that the length limit cut, `no_signal` that of the timed step's groups that were not trained on because all
    their answers were alike. `pass_at_1` has `value`, `low`, `high` over problems.
    """

    model: str
    task: str
    samples: int
    rates: tuple[float, ...]
    pass_at_1: Mapping[str, float]
    truncated: float
    no_signal: float
    train_problems: int | None
    cost: RolloutCost

    def histogram(self) -> list[int]:
        """Problems by pass rate, in ten bins of equal width."""
        return [int(n) for n in np.histogram(self.rates, bins=BARS, range=(0.0, 1.0))[0]]

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"rates": list(self.rates)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        """The measurement that `as_dict` wrote."""
        known = dict(data)
        return cls(**known | {"rates": tuple(known["rates"]), "cost": RolloutCost(**known["cost"])})
