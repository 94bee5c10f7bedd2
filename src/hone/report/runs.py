"""Several runs on one page, and the table of evaluations that every page shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hone.report import plots
from hone.report.data import (
    UNITS,
    Numbers,
    Row,
    RunData,
    before_after,
    column,
    estimate,
    evals_of,
    ks,
    method_of,
    number,
    seconds,
    spent_at,
    spent_before,
    total,
)
from hone.report.panels import Panel, panel
from hone.report.story import flat, span
from hone.report.words import count, duration, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAMILIES = ("pass", "maj", "worst")


def eval_table(run: RunData) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Every evaluation in numbers: the column names, and per row (value, interval) cells."""
    rows = run.evals
    keys = [f"{f}@{k}" for f in FAMILIES for k in sorted({k for row in rows for k in ks(row, f)})]
    several = len({(row.get("task"), row.get("split")) for row in rows}) > 1
    table = []
    for row in rows:
        where = f"{row.get('task')}, {row.get('split')}" if several else ""
        cells = [(count(number(row, "step")), where)]
        for key in keys:
            found = estimate(row, key)
            cells.append((percent(found.value, 1), span(found)) if found else ("–", ""))
        table.append(cells)
    return ["step", *keys], table


def distinct_names(read: Sequence[RunData]) -> list[RunData]:
    """The runs, with the parent folder's name in front where two have the same name."""
    names = Counter(run.name for run in read)
    longer = [
        f"{run.path.resolve().parent.name}/{run.name}" if names[run.name] > 1 else run.name for run in read
    ]
    again = Counter(longer)
    return [replace(run, name=f"{name} ({at})" if again[name] > 1 else name)
            for at, (run, name) in enumerate(zip(read, longer), start=1)]  # fmt: skip


def overlay(read: Sequence[RunData]) -> dict[str, Panel]:
    """Held-out pass@1 (and the training pass rate) of all runs against each unit of effort, and pass@k at the end."""
    cards: dict[str, Panel] = {}
    legend = [plots.legend_key(at, run.name)
              for at, run in enumerate(read)]  # fmt: skip
    for unit in UNITS:
        for key, title in (("pass@1", "Held-out pass@1"), ("pass_rate", "Training pass rate")):
            if any(_curve(run, unit, key)[0].size for run in read):
                cards[f"{key} {unit}"] = panel(
                    title, "95% intervals." if key == "pass@1" else "Averaged; raw values faint.", legend,
                    partial(_draw, read=read, unit=unit, key=key), hero=True, key=unit,
                )  # fmt: skip
    finals = [(run, before_after(run)[1]) for run in read]
    if any(len(ks(row)) > 1 for _, row in finals):

        def draw(ax: Axes) -> None:
            curves = []
            for at, (_, row) in enumerate(finals):
                colour, dash, marker = plots.look(at)
                found = [e for k in ks(row) if (e := estimate(row, f"pass@{k}"))]
                curves.append(plots.Curve(colour, ks(row), found, dash, marker))
            plots.pass_at_k(ax, curves)

        cards["pass@k"] = panel("pass@k after training", "95% intervals.", legend, draw, hero=True)
    return cards


def _rows(run: RunData, key: str) -> list[Row]:
    return [row for row in evals_of(run) if estimate(row, key)]


def _curve(run: RunData, unit: str, key: str) -> tuple[Numbers, Numbers]:
    if key == "pass_rate":
        xs, ys = spent_before(run, unit), column(run.metrics, key)
    else:
        rows = _rows(run, key)
        xs, ys = spent_at(run, rows, unit), np.array([e.value for row in rows if (e := estimate(row, key))])
    known = np.isfinite(xs) & np.isfinite(ys)
    return xs[known], ys[known]


def _draw(ax: Axes, read: Sequence[RunData], unit: str, key: str) -> None:
    for at, run in enumerate(read):
        colour, dash, marker = plots.look(at)
        if key == "pass_rate":
            plots.line(ax, *_curve(run, unit, key), colour, dash)
        else:
            rows = _rows(run, key)
            found = [e for row in rows if (e := estimate(row, key))]
            plots.with_intervals(ax, spent_at(run, rows, unit), found, colour, marker, dash)
    plots.percent_axis(ax, "pass rate")
    plots.unit_axis(ax, unit)


def table(read: Sequence[RunData]) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """One row a run: method, pass@1 and the largest pass@k before and after, and what it cost."""
    top = max((k for run in read for row in before_after(run) for k in ks(row)), default=1)
    keys = ["pass@1"] + ([f"pass@{top}"] if top > 1 else [])
    rows = []
    for run in read:
        cells = [(run.name, method_of(run))]
        for key in keys:
            for row in before_after(run):
                found = estimate(row, key)
                cells.append((percent(found.value, 1), span(found)) if found else ("–", ""))
        cells += [(count(total(run, "sampled_tokens")), ""), (count(total(run, "rollouts")), ""),
                  (duration(seconds(run)), "")]  # fmt: skip
        rows.append(cells)
    heads = [f"{key} {when}" for key in keys for when in ("before", "after")]
    return ["run", *heads, "sampled tokens", "rollouts", "time"], rows


def differing(read: Sequence[RunData]) -> tuple[list[str], list[list[str]]]:
    """The recipe keys in which the runs differ: the runs' names, and per key (key, value of each run)."""
    recipes = [dict(flat(run.recipe)) for run in read]
    keys = dict.fromkeys(key for recipe in recipes for key in recipe)
    rows = [[key, *(recipe.get(key, "–") for recipe in recipes)] for key in keys]
    return [run.name for run in read], [row for row in rows if len(set(row[1:])) > 1]


def notes(read: Sequence[RunData]) -> list[str]:
    """What stands between the runs and a fair comparison, and what their folders lack."""
    found = [f"{run.name}: {note}" for run in read for note in run.notes]
    settings = {tuple(str(row.get(key)) for key in ("task", "split", "problems", "samples"))
                for run in read if (row := next(iter(evals_of(run)), None))}  # fmt: skip
    if len(settings) > 1:
        found.append(
            "The runs were evaluated differently (task, split, problems, samples): do not compare figures."
        )
    return found
