"""Drawing on one axes: the marks that the run page, the comparison page and the picture for a README share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hone.report.data import Estimate, Numbers
from hone.report.theme import DASHES, LIGHT, MARKERS, SERIES
from hone.report.words import clean, count, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNIT_LABELS = {
    "step": "updates (optimizer steps done)",
    "rollouts": "rollouts sampled for training",
    "sampled_tokens": "tokens sampled for training",
    "tokens": "tokens computed in training",
    "flops": "floating-point operations of training",
    "seconds": "seconds of training steps",
    "price": "price of training steps",
}
UNIT_WORDS = {
    "step": "steps", "rollouts": "rollouts", "sampled_tokens": "tokens", "flops": "FLOPs", "seconds": "seconds",
    "price": "price",
}  # fmt: skip
MAX_POINTS = 400


def smooth(values: Numbers, window: int) -> Numbers:
    """Centred moving average over up to `window` finite neighbours; NaN stays NaN."""
    half = window // 2
    out = np.full(len(values), np.nan)
    for at in np.flatnonzero(np.isfinite(values)):
        near = values[max(0, at - half) : at + half + 1]
        out[at] = near[np.isfinite(near)].mean()
    return out


def smoothing_window(points: int) -> int:
    """How many steps a smoothed curve averages: about a tenth of the run, odd, between 3 and 51."""
    return min(51, max(3, points // 10)) // 2 * 2 + 1


def thin(xs: Numbers, ys: Numbers) -> tuple[Numbers, Numbers]:
    """At most MAX_POINTS of the finite points, evenly taken, first and last kept."""
    finite = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[finite], ys[finite]
    if len(xs) <= MAX_POINTS:
        return xs, ys
    at = np.linspace(0, len(xs) - 1, MAX_POINTS).round().astype(int)
    return xs[at], ys[at]


def line(ax: Axes, xs: Numbers, ys: Numbers, colour: str, dash: str = "-", smoothed: bool = True) -> None:
    """A curve over a run: its moving average, with the raw values faint behind it."""
    if smoothed and len(xs) >= 12:
        ax.plot(*thin(xs, ys), color=LIGHT[colour], linewidth=0.8, alpha=0.35)
        ys = smooth(ys, smoothing_window(len(xs)))
    few = np.isfinite(ys).sum() < 2
    ax.plot(*thin(xs, ys), color=LIGHT[colour], linestyle=dash, marker="o" if few else "", markersize=4)


def with_intervals(
    ax: Axes, xs: Sequence[float] | Numbers, estimates: Sequence[Estimate], colour: str, marker: str = "o",
    dash: str = "-", label: str | None = None,
) -> None:  # fmt: skip
    """Points at `xs` with vertical 95% intervals, joined by a line."""
    at = np.asarray(xs, dtype=np.float64)
    value, low, high = (np.array([getattr(e, part) for e in estimates]) for part in ("value", "low", "high"))
    ax.plot(
        at,
        value,
        color=LIGHT[colour],
        marker=marker,
        markersize=4.5,
        linestyle=dash,
        label=label,
    )
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(at)
    ax.vlines(at[known], low[known], high[known], color=LIGHT[colour], linewidth=1.3, alpha=0.75)


def band(ax: Axes, xs: Numbers, low: Numbers, high: Numbers, colour: str) -> None:
    """A shaded interval."""
    ax.fill_between(xs, low, high, color=LIGHT[colour], alpha=0.16, linewidth=0)


def replicates(ax: Axes, xs: Numbers, rows: Numbers, colour: str, dash: str = "-") -> None:
    """A curve in row 0 and the band that holds 95% of its replicates in the other rows, [rows, points]."""
    low, high = np.quantile(rows[1:], [0.025, 0.975], axis=0)
    band(ax, xs, low, high, colour)
    ax.plot(xs, rows[0], color=LIGHT[colour], linestyle=dash)


@dataclass(frozen=True)
class Curve:
    """Estimates against k, drawn in the colour of `role`."""

    role: str
    ks: Sequence[int]
    estimates: Sequence[Estimate]
    dash: str = "-"
    marker: str = "o"


def pass_at_k(ax: Axes, curves: Sequence[Curve]) -> None:
    """Shares of problems against k on a log2 axis, with shaded intervals."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    every = sorted({k for curve in curves for k in curve.ks})
    for curve in curves:
        xs = np.array(curve.ks, dtype=np.float64)
        low, high = (np.array([getattr(e, end) for e in curve.estimates]) for end in ("low", "high"))
        band(ax, xs, low, high, curve.role)
        with_intervals(ax, xs, curve.estimates, curve.role, curve.marker, curve.dash)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator([float(k) for k in every]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:.0f}"))
    ax.set_xlabel("k: answers sampled for a problem (log scale)")
    percent_axis(ax, "share of problems")


def percent_axis(ax: Axes, label: str, whole: bool = True) -> None:
    """The y axis in percent; `whole` shows 0 to 100, else it starts at 0 and ends where the data does."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_ylim(0, 1.02 if whole else max(ax.get_ylim()[1], 0.002))
    if whole:
        ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    else:
        ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:.3g}%"))
    ax.set_ylabel(clean(label))


def count_axis(ax: Axes, label: str, axis: str = "x") -> None:
    """An axis of whole numbers such as steps, rollouts or tokens."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    target = ax.xaxis if axis == "x" else ax.yaxis
    target.set_major_locator(MaxNLocator(5, integer=True))
    target.set_major_formatter(FuncFormatter(lambda v, _: count(v)))
    target.set_label_text(label)


def unit_axis(ax: Axes, unit: str) -> None:
    """The x axis in a unit of effort. A price may be far below 1."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if unit != "price":
        return count_axis(ax, UNIT_LABELS[unit])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: figure(v)))
    ax.set_xlabel(UNIT_LABELS[unit])


def log_axis(ax: Axes, unit: str, low: float, high: float) -> None:
    """The x axis as a logarithm of compute from `low` to `high`, above 0, in `unit`."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    ax.set_xscale("log")
    ax.set_xlim(low, high)
    wide = high > 300 * low
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: figure(v) if unit == "price" else count(v)))
    ax.set_xlabel(f"{UNIT_LABELS[unit]} (log scale)")


def forest(ax: Axes, rows: Sequence[tuple[str, float, float, float]]) -> None:
    """Differences in percentage points with intervals, one row each, against a line at zero.

    `rows` are (label, mean, low, high) as shares. A row whose interval leaves zero out is drawn in full colour.
    """
    for at, (label, mean, low, high) in enumerate(rows):
        decided = low > 0 or high < 0
        colour = LIGHT["after"] if decided else LIGHT["before"]
        ax.hlines(at, 100 * low, 100 * high, color=colour, linewidth=2.2)
        ax.plot([100 * mean], [at], marker="o" if decided else "s", markersize=6, color=colour,
                markerfacecolor=colour if decided else "white")  # fmt: skip
        ax.text(0, at - 0.24, label, transform=ax.get_yaxis_transform(), va="baseline", color=LIGHT["ink"])
    ax.axvline(0, color=LIGHT["ink"], linewidth=1)
    ax.set_yticks([])
    ax.set_ylim(len(rows) - 0.55, -0.75)
    ax.grid(visible=False, axis="y")
    ax.grid(visible=True, axis="x")
    ax.set_xlabel("difference in percentage points, 95% interval")


def look(index: int) -> tuple[str, str, str]:
    """(colour role, dash, marker) of series `index`: neighbours differ in all three, the first 32 in one at least."""
    turn = index + index // len(SERIES)  # a colour that comes again has another dash
    return SERIES[index % len(SERIES)], DASHES[turn % len(DASHES)], MARKERS[turn % len(MARKERS)]


def legend_key(index: int, label: str) -> tuple[str, str, str]:
    """(colour role, mark, label) of series `index` in a legend."""
    colour, dash, _ = look(index)
    return colour, "line" if dash == "-" else "dash", label
