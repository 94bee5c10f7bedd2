"""Fit runs: a curve for each recipe, which of them wins at which budget, and what is predicted and how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hone.compute import RecipeCurve, fit_recipe, fit_reward_curve, record_bias
from hone.compute.comparing import compare_efficiency, standing_at
from hone.compute.curve_search import Form
from hone.compute.held_out import hold_out
from hone.compute.reward_curve import MAX_EXTRAPOLATION
from hone.compute.scatter import scatter
from hone.compute.series import Series, Unit
from hone.core.errors import DataError
from hone.evals import Interval, wilson
from hone.training.folder import RunFolder
from hone.training.frontiers import frontier_of
from hone.training.series import RunSeries, read_runs

RESAMPLES = 400
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # of the largest compute: where recipes are set against each other
AHEAD = 2.0  # times the largest compute: what is predicted unless it is said
BEGINNING = (
    "model",
    "task",
    "reward",
    "temperature",
    "max_completion_length",
    "stop",
)  # all that R0 depends on


def fit_runs(
    folders: Sequence[Path],
    *,
    unit: Unit = "rollouts",
    metric: str = "pass@1",
    form: Form = "scalerl",
    at: Sequence[float] = (),
    beyond: float = MAX_EXTRAPOLATION,
    price_per_hour: float | None = None,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Fit reward against compute to run folders and sweep folders; runs of one recipe but for the seed are one curve.

    `recipes` has for each: its `runs`, parameters with 95% intervals, `predictions` at the budgets `at` (by default
    twice the largest compute), `held_out` errors of curves through the first half, and `record_bias`, the upward bias
    of a frontier of raw records. `standings` are the recipes at several budgets, best first, with the difference of the
    first two; `efficiency` compares B of recipes whose asymptotes agree; `frontier` is that of `frontier_of`, None
    where neither `num_generations` nor `problems_per_step` varies. `left_out` maps a recipe that cannot be fitted to
    why.

    Where several recipes begin with the same model and task, R0 is what all their runs read before the first update.
    Raises DataError for a budget more than `beyond` times the largest compute, and if no recipe can be fitted.
    """
    runs = read_runs(folders, unit, metric, price_per_hour=price_per_hour)
    groups: dict[str, list[RunSeries]] = {}
    for run in runs:
        groups.setdefault(run.series.cell, []).append(run)
    starts = _starts(groups)
    curves: dict[str, RecipeCurve] = {}
    left_out: dict[str, str] = {}
    for cell, mine in groups.items():
        series = [run.series for run in mine]
        start = starts[cell]
        r0: float | Literal["fit"] | None = start.value if isinstance(start, Interval) else start
        try:
            curves[cell] = fit_recipe(series, form=form, r0=r0, resamples=resamples)
        except DataError as error:
            left_out[cell] = error.what
    if not curves:
        cell, why = next(iter(left_out.items()))
        raise DataError(f"No recipe can be fitted; `{cell}`: {why}", "Give longer runs.")
    largest = max(curve.fit.max_compute for curve in curves.values())
    budgets = sorted(at) or [AHEAD * largest]
    if budgets[-1] > beyond * largest * (1 + 1e-9):
        raise DataError(
            f"{budgets[-1]:,.0f} {unit} are {budgets[-1] / largest:.3g} times the largest compute of the runs, "
            f"{largest:,.0f}, and predictions end at {beyond:g} times.",
            "Ask at less, run longer, or say how far to go with `--beyond`.",
        )
    recipes = [_recipe(curve, groups[cell], starts[cell], budgets, beyond) for cell, curve in curves.items()]
    return {
        "unit": unit,
        "metric": metric,
        "form": form,
        "largest_compute": largest,
        "recipes": recipes,
        "standings": _standings(curves, [share * largest for share in SHARES] + budgets, beyond),
        "efficiency": _efficiency(curves, form),
        "frontier": _frontier([run.series for cell in curves for run in groups[cell]], resamples // 2),
        "left_out": left_out,
    }


def _starts(groups: Mapping[str, Sequence[RunSeries]]) -> dict[str, Interval | Literal["fit"] | None]:
    """R0 of every recipe: from all runs that begin alike, None for one recipe's own, "fit" where nobody read it.

    Runs of one seed begin with the same problems, so the one that read most of them speaks for its seed.
    """
    alike: dict[str, list[str]] = {}
    for cell, runs in groups.items():
        plan = RunFolder(runs[0].folder).read_recipe()
        alike.setdefault(repr([plan.get(key) for key in BEGINNING]), []).append(cell)
    out: dict[str, Interval | Literal["fit"] | None] = {}
    for cells in alike.values():
        first: dict[int, Series] = {}
        for series in (run.series for cell in cells for run in groups[cell]):
            known = first.get(series.seed)
            if series.compute[0] == 0 and (known is None or series.problems[0] > known.problems[0]):
                first[series.seed] = series
        count = int(sum(one.problems[0] for one in first.values()))
        right = float(sum(one.problems[0] * one.reward[0] for one in first.values()))
        for cell in cells:
            own = len(cells) == 1 and all(run.series.compute[0] == 0 for run in groups[cell])
            out[cell] = None if own else wilson(right, count) if 0 <= right < count else "fit"
    return out


def _recipe(
    curve: RecipeCurve,
    runs: Sequence[RunSeries],
    start: Interval | Literal["fit"] | None,
    budgets: Sequence[float],
    beyond: float,
) -> dict[str, Any]:
    """All that is said of one recipe."""
    series = [run.series for run in runs]
    row = {"recipe": series[0].cell, "runs": [str(run.folder) for run in runs], **curve.as_dict()}
    if isinstance(start, Interval) and curve.fit.form == "scalerl":
        row["R0"] = {"value": float(start.value), "low": float(start.low), "high": float(start.high)}
    reach = curve.fit.max_compute
    predicted = [curve.predict(c, max_extrapolation=beyond) for c in budgets if c <= beyond * reach]
    r0 = start.value if isinstance(start, Interval) else start
    return row | {
        "predictions": [
            {"compute": one.compute, **one.reward.as_dict(), "times_the_data": one.extrapolation}
            for one in predicted
        ],
        "held_out": _held_out(series, r0),
        "record_bias": _record_bias(series),
    }


def _held_out(series: Sequence[Series], r0: float | Literal["fit"] | None) -> list[dict[str, Any]]:
    """Errors of ScaleRL's curve and of a power law, with and without the early readings; less where it is too short."""
    out = []
    forms: tuple[Form, ...] = ("scalerl", "power")
    for form in forms:
        for early in (True, False):
            try:
                out.append({"early": early, **hold_out(series, form, early=early, r0=r0).as_dict()})
            except DataError as error:
                out.append({"early": early, "form": form, "refused": error.what})
    return out


def _record_bias(series: Sequence[Series]) -> dict[str, Any]:
    """How far noise lifts the frontier of raw records above a smooth curve through the same readings.

    A reading is redrawn from as many single rollouts as have the scatter that is seen around the curve.
    """
    compute, reward, problems = (
        np.concatenate([getattr(run, name) for run in series]) for name in ("compute", "reward", "problems")
    )
    smooth = fit_reward_curve(compute, reward, unit=series[0].unit, form="sigmoid", problems=problems)
    truth = np.clip(smooth.reward_at(compute), 0, 1)
    rollouts = np.maximum(np.round(problems / scatter(reward, truth, problems)), 1).astype(int)
    found = record_bias(compute, truth, rollouts)
    return {"end": found.end.as_dict(), "mean": found.mean.as_dict()}


def _standings(
    curves: Mapping[str, RecipeCurve], budgets: Sequence[float], beyond: float
) -> list[dict[str, Any]]:
    """The recipes at each budget that two of them reach, best first."""
    out = []
    for budget in sorted(set(budgets)):
        there = {cell: c for cell, c in curves.items() if budget <= beyond * c.fit.max_compute}
        if len(there) < 2:
            continue
        cells = list(there)
        found = standing_at(list(there.values()), budget, max_extrapolation=beyond)
        out.append(
            {
                "compute": budget,
                "times_the_data": max(one.extrapolation for one in found.rewards),
                "order": [cells[i] for i in found.order],
                "rewards": [one.reward.as_dict() for one in found.rewards],
                "lead": found.lead.difference.as_dict(),
                "real": found.lead.real,
            }
        )
    return out


def _efficiency(curves: Mapping[str, RecipeCurve], form: Form) -> list[dict[str, Any]]:
    """B of every two recipes whose asymptotes agree within ScaleRL's margin, both refitted with their mean."""
    out = []
    for (a, first), (b, second) in combinations(curves.items(), 2) if form != "power" else ():
        found = compare_efficiency(first, second) if first.fit.identified and second.fit.identified else None
        if found is not None:
            out.append({"a": a, "b": b, "A": found.A, **found.difference.as_dict(), "real": found.real})
    return out


def _frontier(series: Sequence[Series], resamples: int) -> dict[str, Any] | None:
    try:
        return frontier_of(series, resamples)
    except DataError:  # one setting alone, or runs too short, which `left_out` says
        return None
