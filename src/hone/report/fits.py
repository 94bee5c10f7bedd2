"""What `hone fit` found, in pictures: readings, curve, asymptote and extrapolation of each recipe, and its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.core.errors import DataError, HoneError
from hone.report import plots
from hone.report.data import Estimate, Numbers, Row, estimate, listed, number, objects
from hone.report.panels import Panel, panel
from hone.report.story import span
from hone.report.theme import LIGHT
from hone.report.words import count, figure, percent, points, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hone.compute import RecipeCurve, Series

RESAMPLES = 200
PLACES = 24  # log-spaced bins into which readings are drawn
MOST = 12  # recipes with a card of their own
FORMS = {"scalerl": "sigmoid (ScaleRL)", "sigmoid": "sigmoid", "power": "power law"}


@dataclass(frozen=True)
class Fitted:
    """A recipe of `hone fit`: its row, and what its run folders give anew; `curve` is None where they are gone."""

    name: str
    row: Row
    series: tuple[Series, ...]
    curve: RecipeCurve | None


def read_fits(fits: Row, price_per_hour: float | None) -> tuple[list[Fitted], list[str]]:
    """The recipes of fit.json with their readings, and notes on what is doubtful, missing or left out.

    DataError if it names no recipe.
    """
    found, notes = [], []
    for row in objects(fits.get("recipes")):
        name = str(row.get("recipe") or "the recipe")
        series, curve = [], None
        try:
            series = _series(fits, row, price_per_hour)
            curve = _refitted(series, fits, row)
        except (HoneError, KeyError, TypeError, ValueError) as error:
            why = error.what if isinstance(error, HoneError) else f"Its runs lack {error}."
            notes.append(f"{name}: no picture. {why}")
        found.append(Fitted(name, row, tuple(series), curve))
        notes += [f"{name}: not identified, {doubt}." for doubt in map(str, listed(row.get("doubts")))]
    if not found:
        raise DataError("The fits name no recipe.", "Run `hone fit` again.")
    left = fits.get("left_out")
    notes += (
        [f"{name} was left out: {why}" for name, why in left.items()] if isinstance(left, Mapping) else []
    )
    return found, notes


def _series(fits: Row, row: Row, price_per_hour: float | None) -> list[Series]:
    from hone.training.series import read_series

    unit: Any = str(fits.get("unit", "rollouts"))
    metric, cell = str(fits.get("metric", "pass@1")), str(row.get("recipe"))
    folders = [Path(str(folder)) for folder in listed(row.get("runs"))]
    return [read_series(f, unit, metric, cell=cell, price_per_hour=price_per_hour) for f in folders]


def _refitted(series: Sequence[Series], fits: Row, row: Row) -> RecipeCurve:
    """The same curve again, for its band. R0 is held at what the fit had."""
    from hone.compute import fit_recipe

    form: Any = str(fits.get("form", "scalerl"))
    start = estimate(row, "R0")
    r0 = start.value if form == "scalerl" and start is not None else None
    return fit_recipe(series, form=form, r0=r0, resamples=RESAMPLES)


def headline(fits: Row, found: Sequence[Fitted]) -> tuple[str, str]:
    """Which recipe leads at the largest budget that was asked for, or what a single one tends to."""
    unit = str(fits.get("unit", "")).replace("_", " ")
    standings = objects(fits.get("standings"))
    if len(found) > 1 and standings:
        last = standings[-1]
        order, lead = [str(v) for v in listed(last.get("order"))], last.get("lead")
        budget = f"{count(number(last, 'compute'))} {unit}"
        e = estimate({"": lead}, "") or Estimate(math.nan)
        gap = f"{order[0]} above {order[1]} by {_points(e)} points." if len(order) > 1 else ""
        if last.get("real") and order:
            return f"{shorten(order[0], 80)[0]} leads at {budget}", gap
        return f"Undecided at {budget}", gap
    one = found[0]
    a = estimate(one.row, "A")
    if a is None or one.row.get("identified") is False:
        return "The asymptote is not identified", ""
    return (
        f"A = {percent(a.value)}, {span(a)}",
        f"What {one.name} tends to as compute grows, with its 95% interval.",
    )


def _points(e: Estimate) -> str:
    return f"{points(e.value)} [{points(e.low)}, {points(e.high)}]"


def parameters(found: Sequence[Fitted]) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """A, B, C_mid and R0 of every recipe with limits, the upward bias of raw records, and what was predicted."""
    rows = []
    for one in found:
        runs = len(listed(one.row.get("runs")))
        cells = [(one.name, f"{runs} run{'s' * (runs != 1)}")]
        for key, words in (("A", percent), ("B", figure), ("C_mid", count), ("R0", percent)):
            e = estimate(one.row, key)
            limits = f"{words(e.low)} to {words(e.high)}" if e and math.isfinite(e.low) else ""
            cells.append((words(e.value) if e else "–", limits))
        bias = one.row.get("record_bias")
        e = estimate(bias, "end") if isinstance(bias, Mapping) else None
        cells.append(
            (f"{points(e.value)} points", f"{points(e.low)} to {points(e.high)}") if e else ("–", "")
        )
        for p in objects(one.row.get("predictions"))[-1:]:
            value = estimate({"": p}, "") or Estimate(math.nan)
            cells.append((percent(value.value, 1), f"at {count(number(p, 'compute'))}, {span(value)}"))
        rows.append(cells)
    width = max(len(row) for row in rows)
    heads = [
        "",
        "A, asymptote",
        "B, efficiency",
        "C_mid, half way",
        "R0, start",
        "bias of raw records",
        "predicted",
    ]
    return heads[:width], [row + [("–", "")] * (width - len(row)) for row in rows]


def held_out(found: Sequence[Fitted]) -> tuple[list[str], list[list[str]]]:
    """Errors on later readings of curves through the earlier ones: the fit beside a power law."""
    rows = []
    for one in found:
        for row in objects(one.row.get("held_out")):
            form = FORMS.get(str(row.get("form")), str(row.get("form")))
            early = "all readings" if row.get("early") else "without the early readings"
            if "refused" in row:
                rows.append([one.name, form, early, shorten(str(row["refused"]), 200)[0], "", "", ""])
                continue
            values = [100 * number(row, key) for key in ("rmse", "noise", "bias", "end")]
            rows.append([one.name, form, early, *(f"{v:.1f}" if math.isfinite(v) else "–" for v in values)])
    return [
        "recipe",
        "curve",
        "fitted to the first half",
        "error (points)",
        "of it noise",
        "bias",
        "bias at the end",
    ], rows


def standings(fits: Row) -> tuple[list[str], list[list[str]]]:
    """The recipes at every budget, best first, with the lead of the first."""
    rows = []
    for row in objects(fits.get("standings")):
        rewards = [estimate({"": value}, "") or Estimate(math.nan) for value in listed(row.get("rewards"))]
        order = [
            f"{name} {percent(e.value, 1)}" for name, e in zip(map(str, listed(row.get("order"))), rewards)
        ]
        lead = estimate(row, "lead") or Estimate(math.nan)
        times = number(row, "times_the_data")
        beyond = f"{count(number(row, 'compute'))}" + (
            f" ({figure(times)} × the data)" if times > 1 + 1e-6 else ""
        )
        rows.append([beyond, "; ".join(order), _points(lead), "decided" if row.get("real") else "undecided"])
    return [f"at {str(fits.get('unit', '')).replace('_', ' ')}", "best first", "lead in points", ""], rows


def recipe_panels(fits: Row, found: Sequence[Fitted]) -> list[Panel]:
    """A large card for each of the first recipes."""
    cards = []
    legend = [("before", "block", "readings; 95% intervals, at most"), ("after", "line", "fit, 95% band"),
              ("good", "line", "A, 95% interval"), ("train", "dash", "C_mid")]  # fmt: skip
    for at, one in enumerate([one for one in found if one.curve is not None][:MOST]):
        draw = partial(draw_fit, one=one, unit=str(fits.get("unit")))
        title = shorten(one.name, 80)[0]
        cards.append(panel(title, _beyond_words(one), legend, draw, hero=True, key=f"fit {at}"))
    return cards


def _beyond_words(one: Fitted) -> str:
    reach = one.curve.fit.max_compute if one.curve else math.nan
    if _end(one) <= reach:
        return "All of it within the data."
    return f"Dashed and shaded: beyond the data, which end at {count(reach)}, up to {figure(_end(one) / reach)} times."


def overlay_panel(fits: Row, found: Sequence[Fitted]) -> Panel | None:
    """All recipes in one picture; None for fewer than two."""
    drawn = [one for one in found if one.curve is not None][: 2 * MOST]
    if len(drawn) < 2:
        return None

    def draw(ax: Axes) -> None:
        for at, one in enumerate(drawn):
            _draw_curve(ax, one, plots.look(at)[0], plots.look(at)[1], faint=True)
        _axes(ax, drawn, str(fits.get("unit")))

    legend = [plots.legend_key(at, shorten(one.name, 80)[0])
              for at, one in enumerate(drawn)]  # fmt: skip
    return panel(
        "All recipes", "Fits with 95% bands; dotted beyond each recipe's data.", legend, draw, hero=True
    )


def _end(one: Fitted) -> float:
    """The largest compute that is drawn: what was predicted, at least the data's own end."""
    asked = [number(p, "compute", 0.0) for p in objects(one.row.get("predictions"))]
    return max([one.curve.fit.max_compute if one.curve else 0.0, *asked])


def draw_fit(ax: Axes, one: Fitted, unit: str) -> None:
    """Readings with intervals, the curve with its band, A, R0 and C_mid, and the shaded part beyond the data."""
    curve = one.curve
    assert curve is not None
    end, reach = _end(one), curve.fit.max_compute
    a, r0, mid = (estimate(one.row, key) for key in ("A", "R0", "C_mid"))
    if a is not None:
        if math.isfinite(a.low) and math.isfinite(a.high):
            ax.axhspan(a.low, a.high, color=LIGHT["good"], alpha=0.13, linewidth=0)
        ax.axhline(a.value, color=LIGHT["good"], linewidth=1.3)
    if end > reach * (1 + 1e-9):
        ax.axvspan(reach, end, color=LIGHT["before"], alpha=0.14, linewidth=0)
        ax.text(0.995, 0.97, f"extrapolated {figure(end / reach)}×", ha="right", va="top", transform=ax.transAxes,
                size=9.5, color=LIGHT["ink"])  # fmt: skip
    xs, estimates = _readings(one.series)
    low, high, value = (np.array([getattr(e, key) for e in estimates]) for key in ("low", "high", "value"))
    ax.vlines(xs, low, high, color=LIGHT["before"], linewidth=1.2)
    ax.plot(xs, value, linestyle="none", marker="o", markersize=4, color=LIGHT["before"])
    _draw_curve(ax, one, "after", "-", faint=False)
    first = _axes(ax, [one], unit)
    if r0 is not None:
        ax.axhline(r0.value, color=LIGHT["muted"], linestyle=":", linewidth=1.2)
        ax.text(0.995, r0.value, "R0", ha="right", va="bottom", size=9.5, color=LIGHT["muted"],
                transform=ax.get_yaxis_transform())  # fmt: skip
    if mid is not None and first < mid.value < end:
        ax.axvline(mid.value, color=LIGHT["train"], linestyle="--", linewidth=1.3)


def _draw_curve(ax: Axes, one: Fitted, colour: str, dash: str, faint: bool) -> None:
    """The fit within the data as it is, beyond them dashed (dotted among several), with its band."""
    curve = one.curve
    assert curve is not None
    reach, end = curve.fit.max_compute, _end(one)
    inside = np.geomspace(_first(one), reach, 48)
    for grid, style in ((inside, dash), (np.geomspace(reach, max(end, reach), 12), ":" if faint else "--")):
        plots.replicates(ax, grid, curve.rewards_at(grid), colour, style)


def _first(one: Fitted) -> float:
    return min(float(run.compute[run.compute > 0][0]) for run in one.series)


def _axes(ax: Axes, drawn: Sequence[Fitted], unit: str) -> float:
    """Both axes; returns the first compute that is shown."""
    first = min(_first(one) for one in drawn)
    plots.log_axis(ax, unit, first / 1.15, max(_end(one) for one in drawn))
    plots.percent_axis(ax, "pass rate of fresh problems", whole=False)
    ax.set_ylim(0, min(1.02, ax.get_ylim()[1]))
    return first


def _readings(series: Sequence[Series]) -> tuple[Numbers, list[Estimate]]:
    """Readings of all runs in log-spaced bins of compute: means weighted by problems, with Wilson intervals."""
    from hone.evals import wilson

    compute, reward, problems = (
        np.concatenate([getattr(run, key) for run in series]).astype(np.float64)
        for key in ("compute", "reward", "problems")
    )
    some = compute > 0
    compute, reward, problems = compute[some], reward[some], problems[some]
    edges = np.geomspace(compute.min(), compute.max() * (1 + 1e-9), PLACES + 1)
    place = np.searchsorted(edges, compute, side="right")
    xs, estimates = [], []
    for at in np.unique(place):
        mine = place == at
        total = problems[mine].sum()
        right = float((problems * reward)[mine].sum())
        xs.append(float(np.average(compute[mine], weights=problems[mine])))
        estimates.append(Estimate(*wilson(min(right, total), int(total))))
    return np.array(xs), estimates
