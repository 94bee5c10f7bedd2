"""The frontier of a sweep: the best reward for each compute, and the settings that reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hone.compute.allocation import AllocationFit, fit_allocation, fitted_values
from hone.compute.bootstrap import Noise
from hone.compute.envelope import Envelope, Track, envelope_of, geometric_average, track_of
from hone.compute.estimate import percentile_estimate
from hone.compute.logistic import Against
from hone.compute.recipe_curve import RecipeCurve, fit_recipe
from hone.compute.records import StepFunction, frontier_of_points
from hone.compute.series import Series, Unit, check_comparable
from hone.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float

Key = Literal["num_generations", "problems_per_step"]

_FITTED_ROWS = 100  # redrawn n*(C) that are fitted for the intervals of an allocation


@dataclass(frozen=True)
class Frontier:
    """The upper envelope of the fitted curves of a sweep, and the raw frontier of its readings.

    With `others="pooled"` a curve is that of all runs with one value of `by`; with `"best"` it is that of one cell, so
    that the envelope is over both keys. `num_generations` and `problems_per_step` are those of each curve, nan where
    it pools several. `compute` is the grid of `envelope`.
    """

    by: Key
    others: Literal["pooled", "best"]
    unit: Unit
    metric: str
    curves: tuple[RecipeCurve, ...]
    num_generations: Float[np.ndarray, "curves"]
    problems_per_step: Float[np.ndarray, "curves"]
    compute: Float[np.ndarray, "points"]
    envelope: Envelope
    raw: StepFunction = field(repr=False)

    def best(self, key: Literal["num_generations", "problems_per_step", "steps"] | None = None) -> Track:
        """n*(C), B_p*(C) or M*(C) (`steps`) along the grid; the key of `by` if left out. DataError if it was pooled.

        M*(C) = C / (n* B_p*) needs the envelope over cells and compute in rollouts.
        """
        return track_of(self.envelope, self.compute, self._values(key or self.by, self.compute))

    def at(self, compute: float, *, max_extrapolation: float = 1.0) -> FrontierPoint:
        """The frontier at one compute. A curve counts only up to `max_extrapolation` times its own reach; DataError if
        none is left."""
        grid = np.array([float(compute)])
        here = envelope_of(self.curves, getattr(self, self.by), grid, max_extrapolation)
        if not here.candidates.any():
            largest = max(curve.reach for curve in self.curves)
            raise DataError(
                f"No run of the sweep reaches {compute:g} {self.unit}; they end at {largest:g}.",
                "Ask within the data, run longer, or raise `max_extrapolation`.",
            )
        chosen = int(here.choice[0, 0])
        return FrontierPoint(
            compute=float(compute),
            curve=chosen,
            track=track_of(here, grid, self._values(self.by, grid)),
            envelope=here,
            extrapolation=float(compute / self.curves[chosen].reach),
        )

    def allocation(
        self,
        key: Literal["num_generations", "problems_per_step"] | None = None,
        *,
        against: Against = "log10",
    ) -> AllocationFit:
        """The logistic through the running average of n*(C) or B_p*(C), with intervals from the redrawn sweeps.

        With `against="steps"` all runs must have one rollouts-a-step, and the regressor is M = C / that. Points of one
        n*(C) depend on each other, so that its own scatter says nothing of its error: the intervals are percentiles
        of the fits to redrawn n*(C). `doubts` count the budgets where the number is not identified.
        """
        track = self.best(key)
        amount = self.compute / self._batch() if against == "steps" else self.compute
        unit = "steps" if against == "steps" else self.unit
        fit = fit_allocation(amount, track.smooth, unit=unit, against=against)
        values = self._values(key or self.by, self.compute)
        rows = [
            fitted_values(amount, geometric_average(values[choice, np.arange(len(choice))]), against=against)
            for choice in self.envelope.choice[1 : 1 + _FITTED_ROWS]
        ]
        names = ("L", "k", "log_midpoint", "b")
        limits: dict[str, Any] = {
            name: percentile_estimate(getattr(fit, name).value, [row[name] for row in rows]) for name in names
        }
        unknown = int((~track.identified).sum())
        doubts = (f"not identified at {unknown} of {len(track.compute)} budgets",) if unknown else ()
        return replace(fit, **limits, doubts=(*fit.doubts, *doubts))

    def _batch(self) -> float:
        sizes = np.unique(self.num_generations * self.problems_per_step)
        if len(sizes) != 1 or np.isnan(sizes[0]) or self.unit != "rollouts":
            raise DataError(
                "Against steps, the runs must share one num_generations x problems_per_step, in rollouts.",
                'Give the runs of one fixed batch, or fit against "log10".',
            )
        return float(sizes[0])

    def _values(self, key: str, compute: np.ndarray) -> Float[np.ndarray, "curves points"]:
        """The number that each curve stands for, at each compute."""
        if key == "steps":
            values = compute / (self.num_generations * self.problems_per_step)[:, None]
            if self.unit != "rollouts":
                raise DataError(
                    f"Steps do not follow from {self.unit}.", 'Read the runs with unit "rollouts".'
                )
        else:
            values = np.repeat(getattr(self, key)[:, None], len(compute), axis=1)
        if np.isnan(values).any():
            raise DataError(
                f"The frontier by {self.by} pools runs that differ in what `{key}` needs.",
                f'Use by="{key}"' if key != "steps" else 'Use others="best".',
            )
        return values


@dataclass(frozen=True)
class FrontierPoint:
    """The frontier at one compute: the place of the best curve, its value's `track` and `envelope` (one point each),
    and how many times beyond that curve's data the compute is (1 or less: measured)."""

    compute: float
    curve: int
    track: Track
    envelope: Envelope
    extrapolation: float


def frontier(
    series: Sequence[Series],
    *,
    by: Key = "num_generations",
    others: Literal["pooled", "best"] = "pooled",
    points: int = 64,
    noise: Noise = "residual",
    resamples: int = 200,
    seed: int = 0,
    max_extrapolation: float = 1.0,
) -> Frontier:
    """The frontier of a sweep and the best value of `by` at each compute.

    A monotone sigmoid is fitted to the runs of every value of `by` ("pooled"; seeds are redrawn within cells), or of
    every cell ("best": every value at the best of the other key). The grid is log-spaced from the first compute that
    every curve has a reading at, to the largest compute. A value is a candidate only up to `max_extrapolation` times
    the reach of its own runs (`RecipeCurve.reach`): at 1, nothing is claimed that was not measured.

    Source: IsoCompute Playbook (arXiv 2603.12151). DataError if there are fewer than two values of `by`.
    """
    check_comparable(series)
    groups = _groups(series, by, others)
    if len({key[0] for key in groups}) < 2:
        raise DataError(
            f"All runs have one {by}.",
            "A frontier needs runs with at least two: sweep it, or choose another key.",
        )
    curves = tuple(
        fit_recipe(runs, form="sigmoid", noise=noise, resamples=resamples, seed=seed)
        for runs in groups.values()
    )
    keys = {
        name: np.array([_common([getattr(run, name) for run in runs]) for runs in groups.values()])
        for name in ("num_generations", "problems_per_step")
    }
    first = max(min(float(run.compute[run.compute > 0][0]) for run in runs) for runs in groups.values())
    grid = np.geomspace(first, max(curve.reach for curve in curves) * max_extrapolation, points)
    return Frontier(
        by=by,
        others=others,
        unit=series[0].unit,
        metric=series[0].metric,
        curves=curves,
        **keys,
        compute=grid,
        envelope=envelope_of(curves, keys[by], grid, max_extrapolation),
        raw=frontier_of_points(
            np.concatenate([run.compute for run in series]), np.concatenate([run.reward for run in series])
        ),
    )


def _groups(series: Sequence[Series], by: Key, others: str) -> dict[tuple[float, str], list[Series]]:
    """The runs behind each curve, in order of the value of `by`."""
    groups: dict[tuple[float, str], list[Series]] = {}
    for run in series:
        groups.setdefault((getattr(run, by), run.cell if others == "best" else ""), []).append(run)
    return dict(sorted(groups.items()))


def _common(values: Sequence[float]) -> float:
    return float(values[0]) if len(set(values)) == 1 else float("nan")
