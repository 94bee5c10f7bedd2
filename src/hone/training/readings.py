"""What a run's metrics.jsonl says of its progress: the groups of every step, and what had been spent before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hone.compute.series import Unit
from hone.core.errors import CheckpointError, DataError
from hone.training.folder import RunFolder

Line = Mapping[str, Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Readings:
    """The steps of a run in order: compute spent before and after each, and its groups before its update.

    `correct[s][i]` of the `judged[s][i]` judged rollouts of group i of step s were right.
    """

    steps: Ints
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]
    correct: Sequence[Ints]
    judged: Sequence[Ints]


def read_readings(folder: Path, unit: Unit = "rollouts", price_per_hour: float | None = None) -> Readings:
    """The readings of the run in `folder`, finished or not, with compute in `unit`.

    Raises CheckpointError for a folder without steps, DataError for a run whose lines lack what is asked for.
    """
    lines = RunFolder(folder).read("metrics.jsonl")
    if not lines:
        raise CheckpointError(f"{folder} has no line in metrics.jsonl.", "Name a run that has taken a step.")
    return readings_of(lines, unit, folder, price_per_hour)


def readings_of(
    lines: Sequence[Line], unit: Unit, folder: Path, price_per_hour: float | None = None
) -> Readings:
    """The readings of metrics.jsonl's lines, at least one, which are those of `folder`."""
    if "groups/correct" not in lines[-1]:
        raise DataError(
            f"{folder / 'metrics.jsonl'} does not say how many rollouts of each group were right (`groups/correct`).",
            "The run learnt from demonstrations, or was made by an earlier version: make it again.",
        )
    after = np.asarray(spent(lines, unit, folder, price_per_hour))
    return Readings(
        np.asarray([line["step"] for line in lines]),
        np.concatenate([[0.0], after[:-1]]),
        after,
        [np.asarray(line["groups/correct"], dtype=np.int64) for line in lines],
        [np.asarray(line["groups/judged"], dtype=np.int64) for line in lines],
    )


def spent(
    lines: Sequence[Line], unit: Unit, folder: Path, price_per_hour: float | None = None
) -> list[float]:
    """Compute spent up to the end of each step.

    `tokens` are prompt, sampled and trained tokens as computed; `seconds` those of steps, without evaluations;
    `price` is their hours times `price_per_hour`. Raises DataError where the run does not record the unit.
    """
    if unit in ("seconds", "price"):
        rate = 1.0 if unit == "seconds" else _rate(price_per_hour) / 3600
        return [rate * total for total in accumulate(line["time/step"] for line in lines)]
    names = ("prompt_tokens", "sampled_tokens", "trained_tokens") if unit == "tokens" else (unit,)
    for name in names:
        if name not in lines[-1]:
            raise DataError(
                f"{folder / 'metrics.jsonl'} has no `{name}`: the run was made before it was counted.",
                "Choose another `--unit`, or make the run again.",
            )
    return [float(sum(line[name] for name in names)) for line in lines]


def _rate(price_per_hour: float | None) -> float:
    if price_per_hour is None or not price_per_hour > 0:
        raise DataError(
            "The unit `price` needs what an hour of this machine costs.", "Give `--price-per-hour`."
        )
    return price_per_hour
