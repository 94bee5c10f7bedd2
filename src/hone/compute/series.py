"""A run as a series: reward against compute, with what its recipe set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from hone.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Unit = Literal["rollouts", "sampled_tokens", "tokens", "flops", "seconds", "price"]


@dataclass(frozen=True)
class Series:
    """One run: reward against compute. A reading at `compute[i]` is of the policy that had been trained with that
    much, before it moved on.

    `cell` is what the run's recipe sets in a sweep ("num_generations=4,problems_per_step=8"), equal for seeds.
    `compute` is in `unit`, at least 0 and strictly increasing; `reward` is `metric` ("pass@1", "pass@4" for best@4,
    "worst@4"), in [0, 1]; `problems` are the fresh problems behind each reading, whose noise is about
    sqrt(r (1 - r) / problems). DataError if any of this does not hold.
    """

    cell: str
    seed: int
    num_generations: int
    problems_per_step: int
    learning_rate: float
    unit: Unit
    metric: str
    compute: Float[np.ndarray, "points"]
    reward: Float[np.ndarray, "points"]
    problems: Int[np.ndarray, "points"]

    def __post_init__(self) -> None:
        where = f"Series `{self.cell}`, seed {self.seed}"
        if self.unit not in get_args(Unit):
            raise DataError(f"{where}: unit {self.unit!r}.", f"Units are {', '.join(get_args(Unit))}.")
        check_readings(self.compute, self.reward, where)
        if np.shape(self.problems) != np.shape(self.compute) or (np.asarray(self.problems) < 1).any():
            raise DataError(
                f"{where}: `problems` must have one count, at least 1, for each of the {len(self.compute)} readings.",
                "Leave out steps without a judged problem.",
            )
        if (np.diff(self.compute) <= 0).any():
            at = int(np.argmax(np.diff(self.compute) <= 0)) + 1
            raise DataError(
                f"{where}: compute does not increase at reading {at} "
                f"({self.compute[at - 1]:g}, then {self.compute[at]:g}).",
                "Give one reading for each amount of compute, in order.",
            )


def check_readings(
    compute: Float[np.ndarray, "points"], reward: Float[np.ndarray, "points"], where: str
) -> None:
    """DataError unless both are flat, finite and of one length, compute at least 0 and reward in [0, 1]."""
    if np.ndim(compute) != 1 or np.shape(compute) != np.shape(reward) or len(compute) == 0:
        raise DataError(
            f"{where}: compute has shape {np.shape(compute)} and reward {np.shape(reward)}.",
            "Give one reward for each amount of compute, at least one.",
        )
    if not (np.isfinite(compute).all() and np.isfinite(reward).all()):
        raise DataError(f"{where}: a reading is not finite.", "Leave out what was not measured.")
    if (np.asarray(compute) < 0).any():
        raise DataError(f"{where}: compute is below 0.", "Give the running total of what was spent.")
    if (np.asarray(reward) < 0).any() or (np.asarray(reward) > 1).any():
        raise DataError(f"{where}: a reward is outside of [0, 1].", "Give pass rates.")


def check_comparable(series: Sequence[Series]) -> None:
    """DataError unless there is at least one series and all have one unit and one metric."""
    if not series:
        raise DataError("There is no series.", "Give at least one run.")
    for name in ("unit", "metric"):
        values = sorted({str(getattr(one, name)) for one in series})
        if len(values) > 1:
            raise DataError(
                f"The runs differ in {name}: {', '.join(values)}.", f"Read all of them with one {name}."
            )
