"""The comparison of methods: reads compare.json and its arms, states verdicts from intervals, draws the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.core.errors import CheckpointError
from hone.report import plots
from hone.report.data import (
    Estimate,
    Numbers,
    Row,
    RunData,
    column,
    estimate,
    evals_of,
    listed,
    number,
    objects,
    read_object,
    read_run,
    spent_at,
    spent_before,
)
from hone.report.panels import Panel, panel
from hone.report.story import span
from hone.report.theme import LIGHT
from hone.report.words import clean, count, duration, percent, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GRID = 60  # places at which the seeds' curves are averaged


@dataclass(frozen=True)
class Comparison:
    """compare.json with the arms' runs. `arms[method]` are the runs that could be read."""

    folder: Path
    recipe: str
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    seeds: int
    budget: str
    before: Mapping[str, Any]
    rows: tuple[Row, ...]
    table: tuple[Row, ...]
    paired: tuple[Row, ...]
    arms: Mapping[str, tuple[RunData, ...]]
    notes: tuple[str, ...]


def read_comparison(folder: Path) -> Comparison:
    """Read FOLDER/compare.json and the arms it names. CheckpointError if it is missing, broken or lacks a key."""
    path = folder / "compare.json"
    found = read_object(path)
    for key in ("methods", "metrics", "table"):
        if not isinstance(found.get(key), list) or not found[key]:
            raise CheckpointError(f"`{path}`: `{key}` is missing or empty.", "Run `hone compare` again.")
    arms: dict[str, list[RunData]] = {str(method): [] for method in found["methods"]}
    notes = []
    rows = objects(found.get("runs"))
    for row in rows:
        try:
            run = read_run(folder / str(row.get("folder", "")))
        except CheckpointError as error:
            notes.append(f"{row.get('method')}, seed {row.get('seed')}: left out of the curves. {error.what}")
            continue
        arms.setdefault(str(row.get("method")), []).append(run)
        notes += [f"{run.name}: {note}" for note in run.notes]
    budget = found.get("budget")
    words = ""
    if isinstance(budget, Mapping):
        words = f"{count(number(budget, 'value'))} {str(budget.get('unit', '')).replace('_', ' ')}"
    before = found.get("before")
    return Comparison(
        folder=folder, recipe=str(found.get("recipe", "")), methods=tuple(str(m) for m in found["methods"]),
        metrics=tuple(str(m) for m in found["metrics"]), seeds=len(listed(found.get("seeds"))), budget=words,
        before=before if isinstance(before, Mapping) else {}, rows=rows, table=objects(found["table"]),
        paired=objects(found.get("paired")), arms={m: tuple(runs) for m, runs in arms.items()}, notes=tuple(notes),
    )  # fmt: skip


def verdict(row: Row) -> tuple[str, str]:
    """(`decided` or `open`, the sentence) of one paired difference a − b, from its 95% interval alone."""
    mean, low, high = (number(row, key) for key in ("mean", "low", "high"))
    a, b, metric, n = str(row.get("a")), str(row.get("b")), str(row.get("metric")), number(row, "n")
    seeds = f"{count(n)} seed{'s' * (n != 1)}"
    if not all(math.isfinite(v) for v in (mean, low, high)):
        return "open", f"{metric}: undecided between {a} and {b}, no interval, {seeds}"
    if low <= 0 <= high:
        inside = f"difference {points(mean)} points [{points(low)}, {points(high)}]"
        return "open", f"{metric}: undecided between {a} and {b}, {inside} at 95%, {seeds}"
    if mean < 0:
        a, b, mean, low, high = b, a, -mean, -high, -low
    amount = f"{100 * mean:.1f} points [{100 * low:.1f}, {100 * high:.1f}]"
    return "decided", f"{metric}: {a} above {b} by {amount} at 95%, {seeds}"


def verdicts(comparison: Comparison) -> list[tuple[str, str, str]]:
    """(kind, sentence, `a won in w of n seeds`) of every pair, in the order of the metrics."""
    order = {metric: at for at, metric in enumerate(comparison.metrics)}
    rows = sorted(comparison.paired, key=lambda row: order.get(str(row.get("metric")), len(order)))
    return [(*verdict(row), f"{row.get('a')} ahead in {count(number(row, 'wins'))} of {count(number(row, 'n'))} seeds")
            for row in rows]  # fmt: skip


def headline(comparison: Comparison) -> str:
    """Which method is above every other on the first metric, if its intervals say so; else that it is undecided."""
    metric = comparison.metrics[0]
    above: dict[str, set[str]] = {method: set() for method in comparison.methods}
    for row in comparison.paired:
        if row.get("metric") == metric and verdict(row)[0] == "decided":
            a, b = str(row.get("a")), str(row.get("b"))
            winner, loser = (a, b) if number(row, "mean") > 0 else (b, a)
            above.setdefault(winner, set()).add(loser)
    for method in comparison.methods:
        if len(comparison.methods) > 1 and above[method] >= set(comparison.methods) - {method}:
            return f"{method} leads on {metric}"
    if any(above.values()):
        return f"No single method leads on {metric}; some pairs are decided"
    return f"Undecided on {metric}"


def table(comparison: Comparison) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """One row a method, one column a metric, cells (mean, interval); before training as the first row."""
    found = {(str(row.get("method")), str(row.get("metric"))): row for row in comparison.table}
    rows = []
    if comparison.before:
        cells = [("before training", "")]
        for metric in comparison.metrics:
            e = estimate(comparison.before, metric)
            cells.append((percent(e.value, 1), span(e)) if e else ("–", ""))
        rows.append(cells)
    for method in comparison.methods:
        seeds = max((number(found[key], "n", 0) for key in found if key[0] == method), default=0)
        cells = [(method, f"{count(seeds)} seed{'s' * (seeds != 1)}")]
        for metric in comparison.metrics:
            row = found.get((method, metric))
            mean = (
                Estimate(*(number(row, key) for key in ("mean", "low", "high")))
                if row
                else Estimate(math.nan)
            )
            cells.append((percent(mean.value, 1), span(mean) if row else ""))
        rows.append(cells)
    return ["", *comparison.metrics], rows


def arms(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Every single run: method, seed, final metrics, cost, folder."""
    rows = []
    for row in comparison.rows:
        final = row.get("final")
        values = [number(final, m) if isinstance(final, Mapping) else math.nan for m in comparison.metrics]
        rows.append([str(row.get("method")), str(row.get("seed")), *(percent(v, 1) for v in values),
                     count(number(row, "sampled_tokens")), count(number(row, "rollouts")),
                     duration(number(row, "seconds")), str(row.get("folder", ""))])  # fmt: skip
    return ["method", "seed", *comparison.metrics, "sampled tokens", "rollouts", "time", "folder"], rows


def panels_of(comparison: Comparison) -> dict[str, list[Panel]]:
    """The figures: mean curves over the seeds, a forest plot of the paired differences for each metric, every seed."""
    curves = [
        _curves_panel(comparison, "pass@1", "Held-out pass@1"),
        _curves_panel(comparison, "pass_rate", "Training pass rate"),
    ]
    forests = [_forest_panel(comparison, metric) for metric in comparison.metrics]
    seeds = [_seeds_panel(comparison, metric) for metric in comparison.metrics]
    groups = {"curves": curves, "forests": forests, "seeds": seeds}
    return {name: [p for p in group if p is not None] for name, group in groups.items()}


def mean_curve(curves: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers, Numbers, Numbers] | None:
    """(x, mean, low, high) of several seeds' curves on their common range, with 95% Student t intervals.

    None if no two points are common. With one seed the interval is the curve itself.
    """
    from scipy import stats

    usable = [(xs, ys) for xs, ys in curves if len(xs) >= 2]
    if not usable:
        return None
    low, high = max(xs[0] for xs, _ in usable), min(xs[-1] for xs, _ in usable)
    if low >= high:
        return None
    grid = np.linspace(low, high, GRID)
    values = np.array([np.interp(grid, xs, ys) for xs, ys in usable])
    mean = values.mean(0)
    n = len(values)
    half = stats.t.ppf(0.975, n - 1) * values.std(0, ddof=1) / math.sqrt(n) if n > 1 else np.zeros_like(mean)
    return grid, mean, mean - half, mean + half


def _curves_panel(comparison: Comparison, key: str, title: str) -> Panel | None:
    means = {}
    for at, method in enumerate(comparison.methods):
        if found := mean_curve([_curve(run, key) for run in comparison.arms.get(method, ())]):
            means[method] = (at, *found)
    if not means:
        return None

    def draw(ax: Axes) -> None:
        for at, xs, mean, low, high in means.values():
            colour, dash, _ = plots.look(at)
            plots.band(ax, xs, np.clip(low, 0, 1), np.clip(high, 0, 1), colour)
            plots.line(ax, xs, mean, colour, dash, smoothed=False)
        plots.percent_axis(ax, "pass rate", whole=False)
        plots.count_axis(ax, plots.UNIT_LABELS["sampled_tokens"])

    legend = [plots.legend_key(at, method)
              for method, (at, *_) in means.items()]  # fmt: skip
    return panel(
        title, "Mean over the seeds; the bands are 95% intervals of the mean.", legend, draw, hero=True
    )


def _curve(run: RunData, key: str) -> tuple[Numbers, Numbers]:
    if key == "pass_rate":
        return rate_curve(run, "sampled_tokens")
    rows = [row for row in evals_of(run) if estimate(row, key)]
    xs = spent_at(run, rows, "sampled_tokens")
    ys = np.array([e.value for row in rows if (e := estimate(row, key))])
    return _known(xs, ys)


def rate_curve(run: RunData, unit: str) -> tuple[Numbers, Numbers]:
    """The training pass rate, averaged over neighbouring steps, against what had been spent in `unit`."""
    ys = column(run.metrics, "pass_rate")
    return _known(spent_before(run, unit), plots.smooth(ys, plots.smoothing_window(len(ys))))


def _known(xs: Numbers, ys: Numbers) -> tuple[Numbers, Numbers]:
    known = np.isfinite(xs) & np.isfinite(ys)
    return xs[known], ys[known]


def _forest_panel(comparison: Comparison, metric: str) -> Panel | None:
    rows = []
    for row in comparison.paired:
        mean, low, high = (number(row, key) for key in ("mean", "low", "high"))
        if row.get("metric") == metric and all(math.isfinite(v) for v in (mean, low, high)):
            rows.append((clean(f"{row.get('a')} − {row.get('b')}")[:44], mean, low, high))
    if not rows:
        return None
    caption = (
        "Same seed against same seed. Right of zero the first is better; across zero nothing is decided."
    )
    legend = [("after", "block", "decided"), ("before", "block", "undecided")]
    return panel(f"Paired differences: {metric}", caption, legend, lambda ax: plots.forest(ax, rows),
                 height=66 + 40 * len(rows), left=12)  # fmt: skip


def _seeds_panel(comparison: Comparison, metric: str) -> Panel | None:
    values = {
        method: [number(final, metric) for row in comparison.rows
                 if str(row.get("method")) == method and isinstance(final := row.get("final"), Mapping)]
        for method in comparison.methods
    }  # fmt: skip
    if not any(values.values()):
        return None

    def draw(ax: Axes) -> None:
        for at, (_, marks) in enumerate(values.items()):
            colour, _, marker = plots.look(at)
            aside = np.linspace(-0.16, 0.16, len(marks)) if len(marks) > 1 else np.zeros(len(marks))
            ax.plot(
                at + aside,
                marks,
                linestyle="none",
                marker=marker,
                markersize=4.5,
                color=LIGHT[colour],
                alpha=0.8,
            )
        if e := estimate(comparison.before, metric):
            ax.axhline(e.value, color=LIGHT["before"], linestyle="--", linewidth=1.4)
        ax.set_xticks(range(len(values)), [clean(m)[:14] for m in values])
        ax.set_xlim(-0.6, len(values) - 0.4)
        plots.percent_axis(ax, metric, whole=False)

    legend = [(plots.look(at)[0], "block", method) for at, method in enumerate(values)]
    return panel(f"Every seed: {metric}", "A mark is one run; dashed: before training.", legend, draw)
