"""The frontier of a sweep in pictures: reward against compute with the runs behind it, n*(C), B_p*(C), M*(C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hone.core.errors import DataError
from hone.report import plots
from hone.report.data import Numbers
from hone.report.panels import Panel, panel
from hone.report.theme import LIGHT
from hone.report.words import count, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hone.compute import AllocationFit, Frontier, Series

RESAMPLES = 200
KEYS: tuple[Literal["num_generations", "problems_per_step"], ...] = ("num_generations", "problems_per_step")
SYMBOLS = {"num_generations": "n*(C)", "problems_per_step": "B_p*(C)", "steps": "M*(C)"}


@dataclass(frozen=True)
class Frontiers:
    """What was fitted to a sweep. `pooled` has a frontier for each key that was varied, `cells` the one over cells.

    `why` says what could not be fitted.
    """

    series: tuple[Series, ...]
    pooled: dict[str, Frontier]
    cells: Frontier | None
    why: tuple[str, ...]


def frontiers_of(series: Sequence[Series]) -> Frontiers:
    """Fit the frontiers of a sweep, as far as its runs allow."""
    from hone.compute import frontier

    pooled: dict[str, Frontier] = {}
    cells, why = None, []
    for key in KEYS:
        if len({getattr(one, key) for one in series}) < 2:
            continue
        try:
            pooled[key] = frontier(series, by=key, resamples=RESAMPLES)
            if cells is None:
                cells = frontier(series, by=key, others="best", resamples=RESAMPLES)
        except DataError as error:
            why.append(f"No frontier by {key}: {error.what}")
    if series and not pooled and not why:
        why.append("All runs have one num_generations and one problems_per_step, so there is no frontier.")
    return Frontiers(tuple(series), pooled, cells, tuple(why))


def verdict(found: Frontiers) -> tuple[str, str]:
    """The headline, and what stands behind it: the best value at the largest budget, or that it is not identified."""
    if not found.pooled:
        return "Reward against compute", ""
    key, fitted = next(iter(found.pooled.items()))
    track = fitted.best()
    known = np.flatnonzero(np.isfinite(track.value))
    at = int(known[-1])
    budget = f"{count(track.compute[at])} {fitted.unit.replace('_', ' ')}"
    interval = f"[{count(track.low[at])}, {count(track.high[at])}]"
    if track.identified[at]:
        return (
            f"Best at {budget}: {key} {count(track.value[at])}",
            f"95% interval {interval}, among the values that were measured.",
        )
    return (
        f"The best {key} at {budget} is not identified",
        f"{count(track.value[at])} reads highest, with the 95% interval {interval} over all values that were measured.",
    )


def frontier_panel(found: Frontiers) -> Panel | None:
    """Reward against compute: every run faint, a curve for each value with its band, the envelope, raw records."""
    if not found.pooled:
        return None
    key, fitted = next(iter(found.pooled.items()))
    legend: list[tuple[str, str, str]] = [("ink", "line", "envelope of the curves")]
    legend += [plots.legend_key(at, f"{key} {count(value)}") for at, value in enumerate(getattr(fitted, key))]
    legend.append(("before", "block", "record readings"))
    return panel(
        "The frontier", f"Each run faint (averaged); curves with 95% bands. {_bias_words(fitted, found.series)}",
        legend, partial(draw_frontier, series=found.series, found=fitted), hero=True,
    )  # fmt: skip


def draw_frontier(ax: Axes, series: Sequence[Series], found: Frontier) -> None:
    """The panel's marks on `ax`."""
    values = getattr(found, found.by)
    for run in series:
        colour, _, _ = plots.look(int(np.flatnonzero(values == getattr(run, found.by))[0]))
        some = run.compute > 0
        averaged = plots.smooth(run.reward[some], plots.smoothing_window(int(some.sum())))
        ax.plot(*plots.thin(run.compute[some], averaged), color=LIGHT[colour], linewidth=0.8, alpha=0.3)
    ax.plot(found.compute, found.envelope.reward, color=LIGHT["ink"], linewidth=5, alpha=0.85)
    for at, curve in enumerate(found.curves):
        colour, dash, _ = plots.look(at)
        grid = np.geomspace(found.compute[0], curve.reach, 48)
        plots.replicates(ax, grid, curve.rewards_at(grid), colour, dash)
    raw = found.raw
    some = raw.compute > 0
    ax.plot(raw.compute[some], raw.reward[some], linestyle="none", marker="o", markersize=3.5,
            color=LIGHT["before"], markerfacecolor="none")  # fmt: skip
    plots.log_axis(ax, found.unit, float(found.compute[0]), float(found.compute[-1]))
    plots.percent_axis(ax, f"{found.metric} of fresh problems", whole=False)
    ax.set_ylim(0, min(1.02, ax.get_ylim()[1]))


def _bias_words(found: Frontier, series: Sequence[Series]) -> str:
    """How far noise lifts the records above the truth, measured."""
    from hone.compute import record_bias

    curves = dict(zip(getattr(found, found.by).tolist(), found.curves))
    truth = [curves[float(getattr(run, found.by))].fit.reward_at(run.compute) for run in series]
    compute, problems = (
        np.concatenate([getattr(run, name) for run in series]) for name in ("compute", "problems")
    )
    bias = record_bias(compute, np.clip(np.concatenate(truth), 0, 1), problems, resamples=RESAMPLES).end
    return (
        f"Records lie too high, for they are the luckiest of many readings: by {100 * bias.value:.1f} points "
        f"[{100 * bias.low:.1f}, {100 * bias.high:.1f}] at the end, measured by redrawing readings around the curves."
    )


def track_panels(found: Frontiers) -> list[Panel]:
    """n*(C) with its logistic as the first and large one, then B_p*(C), then M*(C)."""
    made = [
        _track_panel(fitted, key, allocation(fitted), hero=at == 0)
        for at, (key, fitted) in enumerate(found.pooled.items())
    ]
    if found.cells is not None and found.cells.unit == "rollouts":  # steps follow from rollouts alone
        made.append(_track_panel(found.cells, "steps", None))
    return made


def allocation(found: Frontier) -> AllocationFit | str:
    """The logistic, or why it is not identified."""
    try:
        fit = found.allocation()
    except DataError as error:
        return error.what
    return "; ".join(fit.doubts) if fit.doubts else fit


def _track_panel(found: Frontier, key: Any, fit: AllocationFit | str | None, hero: bool = False) -> Panel:
    legend: list[tuple[str, str, str]] = [("after", "line", "best measured value, 95% interval")]
    known = found.best(key).identified
    if not known.all():
        legend.append(("before", "dash", "not identified: the interval spans all values"))
    if fit is not None and not isinstance(fit, str):
        legend.append(("train", "dash", "logistic fit"))
    return panel(
        f"{SYMBOLS[key]}: the best {key}", _track_words(key, fit), legend,
        partial(draw_track, found=found, key=key, fit=fit), hero=hero,
    )  # fmt: skip


def _track_words(key: str, fit: AllocationFit | str | None) -> str:
    if fit is None:
        return (
            "Steps that follow from the best cell at each budget: C / (num_generations × problems_per_step)."
        )
    if isinstance(fit, str):
        return f"No logistic is drawn: {fit}."
    parts = []
    for name, e in (("L", fit.L), ("k", fit.k), ("log10 C₀", fit.log_midpoint), ("b", fit.b)):
        parts.append(f"{name} = {figure(e.value)} [{figure(e.low)}, {figure(e.high)}]")
    return f"log2 {SYMBOLS[key]} = L / (1 + exp(−k (log10 C − log10 C₀))) + b, with {', '.join(parts)}."


def draw_track(ax: Axes, found: Frontier, key: Any, fit: AllocationFit | str | None) -> None:
    """The best value of `key` along compute with its interval, grey where it is not identified, and the logistic."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

    track = found.best(key)
    jumps: Any = {} if key == "steps" else {"drawstyle": "steps-mid"}
    ax.fill_between(track.compute, track.low, track.high, color=LIGHT["after"], alpha=0.14, linewidth=0,
                    step="mid" if jumps else None)  # fmt: skip
    sure: Numbers = np.where(track.identified, track.value, np.nan)
    ax.plot(track.compute, track.value, color=LIGHT["before"], linestyle=":", **jumps)
    ax.plot(track.compute, sure, color=LIGHT["after"], linewidth=2.4, **jumps)
    if isinstance(fit, str):
        ax.text(
            0.03, 0.95, "logistic: not identified", transform=ax.transAxes, va="top", color=LIGHT["muted"]
        )
    elif fit is not None:
        ax.plot(track.compute, fit.curve.at(track.compute), color=LIGHT["train"], linestyle="--")
    ax.set_yscale("log", base=2)
    if key in KEYS:
        measured = np.unique(getattr(found, key))
        ax.yaxis.set_major_locator(FixedLocator(measured.tolist()))
        ax.set_ylim(measured[0] / 1.5, measured[-1] * 2.2)
    else:
        ax.yaxis.set_major_locator(LogLocator(2, numticks=6))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: count(v)))
    ax.set_ylabel(key)
    plots.log_axis(ax, found.unit, float(track.compute[0]), float(track.compute[-1]))
