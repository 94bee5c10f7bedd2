"""The reward curve of a recipe from all of its runs, with intervals, and what it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hone.compute.bootstrap import Noise, Redrawn, redraw
from hone.compute.curve_search import Form, Found, Search, search
from hone.compute.estimate import Estimate, percentile_estimate
from hone.compute.pooling import Pooled
from hone.compute.reward_curve import (
    MAX_EXTRAPOLATION,
    RewardFit,
    curve,
    described,
    extrapolation,
    fitted_part,
    search_of,
    vague_start,
)
from hone.compute.series import Series, Unit

OFTEN = 0.05  # share of the redrawn data whose C_mid may lie beyond them before A is doubted


@dataclass(frozen=True)
class PredictedReward:
    """The mean reward of a recipe at a compute, with the interval of that mean (one reading scatters more)."""

    compute: float
    reward: Estimate
    extrapolation: float


@dataclass(frozen=True)
class RecipeCurve:
    """A fit to all runs of a recipe. `cells` are the cells that it pools; `seeds` the fewest runs of one of them.

    `reach` is what the longest run had spent when it ended: its last reading, and one more spacing of its readings.
    `how` says what was redrawn for the intervals; `found` holds one curve a row, the fit and then the redrawn ones.
    """

    cells: tuple[str, ...]
    metric: str
    unit: Unit
    fit: RewardFit
    seeds: int
    reach: float
    how: str
    A: Estimate
    B: Estimate
    C_mid: Estimate
    R0: Estimate
    spec: Search = field(repr=False)
    data: Redrawn = field(repr=False)
    found: Found = field(repr=False)

    def rewards_at(self, compute: npt.ArrayLike) -> Any:
        """The curve of every row at some compute [*points]: [rows, *points]; row 0 is the fit."""
        c = np.asarray(compute, dtype=np.float64)
        end, efficiency, mid, start = (
            column.reshape(-1, *[1] * c.ndim)
            for column in (self.found.end, self.found.efficiency, self.found.mid, self.found.start)
        )
        # A power law is start + rise (1 - (C / first)^-B), so that D = rise first^B.
        scale = (end - start) * self.data.compute[0] ** efficiency
        return curve(self.fit.form, c, end, efficiency, mid, start, scale)

    def predict(self, compute: float, *, max_extrapolation: float = MAX_EXTRAPOLATION) -> PredictedReward:
        """The reward at `compute`. DataError more than `max_extrapolation` times beyond the largest compute."""
        factor = extrapolation(compute, self.fit.max_compute, max_extrapolation, self.unit)
        rows = self.rewards_at(compute)
        return PredictedReward(float(compute), percentile_estimate(rows[0], rows[1:]), factor)

    def as_dict(self) -> dict[str, Any]:
        """Unit, parameters with limits, and doubts, for JSON."""
        values = {name: getattr(self, name).as_dict() for name in ("A", "B", "C_mid", "R0")}
        return {
            "unit": self.unit,
            "metric": self.metric,
            "form": self.fit.form,
            **values,
            "identified": self.fit.identified,
            "doubts": list(self.fit.doubts),
            "max_compute": self.fit.max_compute,
            "resampled": self.how,
        }


def fit_recipe(
    series: Sequence[Series],
    *,
    form: Form = "scalerl",
    r0: float | Literal["fit"] | None = None,
    min_compute: float = 0.0,
    noise: Noise = "residual",
    resamples: int = 400,
    seed: int = 0,
) -> RecipeCurve:
    """Fit all runs of a recipe together (see `fit_reward_curve`), with 95% intervals by bootstrap (see `redraw`).

    The same `seed` gives the same limits. DataError if the runs differ in unit or metric, or are too short.
    """
    rows = redraw(series, form=form, r0=r0, noise=noise, resamples=resamples, seed=seed)
    whole = Pooled(rows.compute, rows.reward[0], rows.weight[0])
    part = fitted_part(whole, min_compute, form)
    used = np.isin(rows.compute, part.compute)
    data = Redrawn(part.compute, rows.reward[:, used], rows.weight[:, used], rows.start, rows.seeds, rows.how)
    spec = search_of(form, r0, part.compute)
    found = search(spec, data.compute, data.reward, data.weight, data.start)
    fit = described(spec, part, found, series[0].unit, max(float(run.compute[-1]) for run in series))
    if r0 is None:
        c, p = (np.concatenate([getattr(run, name) for run in series]) for name in ("compute", "problems"))
        fit = replace(fit, doubts=(*fit.doubts, *vague_start(c, float(rows.start[0]), p)))
    fit = replace(fit, doubts=(*fit.doubts, *_seldom_identified(found, fit)))
    columns = {"A": found.end, "B": found.efficiency, "C_mid": found.mid, "R0": found.start}
    if form == "power":
        columns["R0"] = np.full_like(found.start, np.nan)
    return RecipeCurve(
        cells=tuple(sorted({run.cell for run in series})),
        metric=series[0].metric,
        unit=series[0].unit,
        fit=fit,
        seeds=rows.seeds,
        reach=max(float(2 * run.compute[-1] - run.compute[-2]) for run in series),
        how=rows.how,
        spec=spec,
        data=data,
        found=found,
        **{name: percentile_estimate(column[0], column[1:]) for name, column in columns.items()},
    )


def _seldom_identified(found: Found, fit: RewardFit) -> tuple[str, ...]:
    """The doubt about a fit that is identified itself, but whose redrawn data often end before C_mid."""
    beyond = float((found.mid[1:] > fit.max_compute).mean())
    if fit.doubts or beyond <= OFTEN:
        return ()
    return (f"in {100 * beyond:.0f}% of the redrawn data C_mid is beyond their end",)
