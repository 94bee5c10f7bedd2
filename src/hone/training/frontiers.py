"""The frontier of a sweep's runs as JSON: the best setting for each budget, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from hone.compute import AllocationFit, Frontier, frontier
from hone.compute.envelope import Track
from hone.compute.frontier import Key
from hone.compute.series import Series
from hone.core.errors import DataError
from hone.training.cells import BATCH

RESAMPLES = 200


def frontier_of(series: Sequence[Series], resamples: int = RESAMPLES) -> dict[str, Any]:
    """n*(C), B_p*(C) and M*(C) along a grid of compute, and the logistic of those that were varied.

    `best` is the envelope over cells: with every budget goes the cell that reaches most, and `steps` follow from it
    where the unit is rollouts. `pooled` are n* and B_p* alone, each over all values of the other. A point has `value`,
    `low`, `high` (95%, by bootstrap) and `identified`: False where the interval spans everything that was measured up
    to that budget. Raises DataError where neither key was varied, or runs are too short for a curve.
    """
    varied: list[Key] = [key for key in BATCH if len({getattr(one, key) for one in series}) > 1]
    if not varied:
        raise DataError(
            "All runs have one num_generations and one problems_per_step, so they have no frontier.",
            "Sweep one of them.",
        )
    free = frontier(series, by=varied[0], others="best", resamples=resamples)
    keys: list[Literal[Key, "steps"]] = [*varied]
    if series[0].unit == "rollouts":
        keys.append("steps")
    alone = len({one.cell for one in series}) == len({getattr(one, varied[0]) for one in series})
    pooled = {
        key: free if alone and key == varied[0] else frontier(series, by=key, resamples=resamples)
        for key in varied
    }
    return {
        "unit": free.unit,
        "metric": free.metric,
        "best": {
            **_reward(free),
            **{key: _track(free.best(key)) for key in keys},
            "cells": [free.curves[at].cells[0] for at in free.envelope.choice[0]],
        },
        "pooled": {key: {**_reward(one), key: _track(one.best())} for key, one in pooled.items()},
        "allocation": {key: _allocation(one) for key, one in pooled.items()},
    }


def _reward(found: Frontier) -> dict[str, Any]:
    """The height of an envelope along its grid."""
    limits = (found.envelope.reward, found.envelope.reward_low, found.envelope.reward_high)
    rows = zip(*(np.asarray(x).tolist() for x in limits))
    return {
        "compute": found.compute.tolist(),
        "reward": [dict(zip(("value", "low", "high"), map(_number, row))) for row in rows],
    }


def _track(track: Track) -> list[dict[str, Any]]:
    rows = zip(track.value.tolist(), track.low.tolist(), track.high.tolist(), track.identified.tolist())
    return [
        {"value": _number(value), "low": _number(low), "high": _number(high), "identified": bool(known)}
        for value, low, high, known in rows
    ]


def _allocation(found: Frontier) -> dict[str, Any]:
    """The logistic of one key, or why there is none."""
    try:
        fit: AllocationFit = found.allocation()
    except DataError as error:
        return {"refused": error.what}
    return fit.as_dict()


def _number(value: float) -> float | None:
    """JSON knows no nan."""
    return float(value) if np.isfinite(value) else None
