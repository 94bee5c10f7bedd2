"""The figures of a run page: each a card with title, legend, drawing and a line on how to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from hone.report import plots
from hone.report.data import (
    UNITS,
    Estimate,
    Numbers,
    Row,
    RunData,
    before_after,
    column,
    estimate,
    evals_of,
    ks,
    number,
    running,
    spent_at,
    spent_before,
)
from hone.report.theme import LEFT, LIGHT, NARROW, WIDE, Drawing, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Legend = Sequence[tuple[str, str, str]]  # (colour role, mark: line, dash or block; label)
BEFORE, AFTER = ("before", "dash", "before training"), ("after", "line", "after training")


@dataclass(frozen=True)
class Panel:
    """A figure card. `wide`, if there, replaces `narrow` where there is room; `legend` is set in HTML."""

    title: str
    caption: str
    legend: Legend
    narrow: Drawing
    wide: Drawing | None = None


def panel(title: str, caption: str, legend: Legend, draw: Callable[[Axes], None], hero: bool = False,
          height: int = 210, left: int = LEFT, key: str = "") -> Panel:  # fmt: skip
    """Render `draw` at card width, and for a `hero` also at double width. `key` tells equal titles apart."""
    label = f"{title} {key}".strip()
    wide = render(draw, f"{label} (wide)", WIDE, 300) if hero else None
    return Panel(title, caption, legend, render(draw, label, NARROW, 240 if hero else height, left), wide)


def pass_at_k_panel(run: RunData, family: str = "pass") -> Panel | None:
    """`family`@k before and after."""
    words = {
        "pass": "Share of held-out problems with at least one right answer among k.",
        "worst": "Share of held-out problems with all k answers right: how reliable the model is.",
        "maj": "Share of held-out problems whose most frequent answer among k is right.",
    }
    curves = []
    for role, row in zip(("before", "after"), before_after(run)):
        found = [(k, e) for k in ks(row, family) if (e := estimate(row, f"{family}@{k}")) is not None]
        if found:
            dash, marker = ("--", "s") if role == "before" else ("-", "o")
            curves.append(plots.Curve(role, [k for k, _ in found], [e for _, e in found], dash, marker))
    if not curves or max(len(curve.ks) for curve in curves) < 2:
        return None
    legend = [key for key in (BEFORE, AFTER) if key[0] in {curve.role for curve in curves}]
    return panel(
        f"{family}@k", words[family] + " Bars and shading: 95% intervals.", legend,
        lambda ax: plots.pass_at_k(ax, curves), hero=family == "pass",
    )  # fmt: skip


def learning_curves(run: RunData) -> dict[str, Panel]:
    """Train pass rate and held-out pass@1 against each unit of effort."""
    rows = [row for row in evals_of(run) if estimate(row, "pass@1")]
    rates = column(run.metrics, "pass_rate")
    if not rows and not np.isfinite(rates).any():
        return {}
    legend = [("after", "line", "held-out pass@1")] if rows else []
    if np.isfinite(rates).any():
        legend.append(("train", "dash", "training pass rate (averaged; raw values faint)"))

    def draw(ax: Axes, unit: str) -> None:
        plots.line(ax, spent_before(run, unit), rates, "train", "--")
        found = [e for row in rows if (e := estimate(row, "pass@1"))]
        plots.with_intervals(ax, spent_at(run, rows, unit), found, "after")
        plots.percent_axis(ax, "pass rate")
        plots.unit_axis(ax, unit)

    caption = (
        "Held-out problems with 95% intervals; training problems as they were drawn, before each update."
    )
    return {
        unit: panel("Learning curve", caption, legend, partial(draw, unit=unit), hero=True, key=unit)
        for unit in UNITS
        if unit == "step" or np.isfinite(running(run, unit)).any()
    }


def level_panel(run: RunData) -> Panel | None:
    """pass@1 by difficulty level, before and after."""
    found: dict[str, tuple[list[float], list[Estimate]]] = {}
    for role, row in zip(("before", "after"), before_after(run)):
        listed = row.get("by_level") if row else None
        rows: list[Row] = [r for r in listed if isinstance(r, Mapping)] if isinstance(listed, list) else []
        rows = sorted((r for r in rows if estimate(r, "pass@1")), key=lambda r: number(r, "level", 0.0))
        if rows:
            found[role] = (
                [number(r, "level", 0.0) for r in rows],
                [e for r in rows if (e := estimate(r, "pass@1"))],
            )
    every = sorted({level for levels, _ in found.values() for level in levels})
    if len(every) < 2:
        return None

    def draw(ax: Axes) -> None:
        shift = min(b - a for a, b in pairwise(every)) * 0.09
        for role, (levels, estimates) in found.items():
            side = -shift if role == "before" else shift
            plots.with_intervals(ax, np.array(levels) + side, estimates, role, "s" if role == "before" else "o",
                                 "--" if role == "before" else "-")  # fmt: skip
        plots.count_axis(ax, "difficulty level")
        plots.percent_axis(ax, "pass@1")

    legend = [key for key in (BEFORE, AFTER) if key[0] in found]
    return panel("By difficulty", "Held-out pass@1 at each level of the task, 95% intervals.", legend, draw)


def histogram_panel(run: RunData) -> Panel | None:
    """How many held-out problems have which pass rate, before and after."""
    rates = {}
    for role, row in zip(("before", "after"), before_after(run)):
        values = row.get("rates") if row else None
        listed = values if isinstance(values, list) else []
        numbers = [v for v in listed if isinstance(v, (int, float)) and np.isfinite(v)]
        if numbers:
            rates[role] = np.clip(np.array(numbers, dtype=np.float64), 0, 1)
    if not rates:
        return None

    def draw(ax: Axes) -> None:
        edges = np.linspace(0, 1, 11)
        width = 0.042
        for role, values in rates.items():
            heights, _ = np.histogram(values, edges)
            left = edges[:-1] + (0.006 if role == "before" else 0.052)
            ax.bar(left, heights, width, align="edge", color=LIGHT[role])
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
        ax.set_xlabel("pass rate of a problem over its samples")
        plots.count_axis(ax, "problems", "y")

    legend = [(role, "block", f"{role} training") for role in rates]
    caption = "On the left, problems out of reach; on the right, problems solved as a matter of routine."
    return panel("Per-problem pass rates", caption, legend, draw)


@dataclass(frozen=True)
class Lines:
    """A card of curves over the steps. `series` are (key in metrics.jsonl, colour role, label)."""

    title: str
    caption: str
    unit: str
    series: Sequence[tuple[str, str, str]]
    share: bool = False
    log: bool = False
    smoothed: bool = True


PROGRESS = (
    Lines("Entropy", "How undecided the model is at each token. Near zero, it no longer explores.",
          "nats per token", (("entropy", "after", "entropy"),)),
    Lines("Answer length", "Tokens of an answer; the longest shows how close the limit is.", "tokens",
          (("length/mean", "after", "mean of the step"), ("length/max", "train", "longest of the step"))),
    Lines("Groups without signal", "Groups whose rollouts all fare alike teach nothing, and still cost their sampling.",
          "share of groups", (("groups/no_signal", "after", "no signal"), ("groups/all_zero", "bad", "none right"),
                              ("groups/all_one", "good", "all right")), share=True),
    Lines("Reward", "Mean and spread over the rollouts of a step.", "reward",
          (("reward/mean", "after", "mean"), ("reward/std", "train", "standard deviation"))),
    Lines("Truncated answers", "Share of rollouts that the length limit ended.", "share of rollouts",
          (("truncated", "after", "truncated"),), share=True),
)  # fmt: skip
HEALTH = (
    Lines("Sampler against trainer", "Divergence between the two sets of log-probabilities. Rounding errors are far "
          "below 0.001; more means that the sampler is not the model being trained.", "nats",
          (("mismatch/k3", "after", "mean (k3)"), ("mismatch/max", "train", "largest difference")),
          log=True, smoothed=False),
    Lines("Gradient norm", "Before clipping.", "norm", (("grad_norm", "after", "gradient norm"),)),
    Lines("Clip share", "Share of tokens whose ratio met the clipping bound.", "share of tokens",
          (("clip_share", "after", "clipped"),), share=True),
    Lines("Policy shift in a step", "Divergence of the updated policy from the one that sampled.", "nats per token",
          (("kl/k1", "after", "k1"), ("kl/k3", "train", "k3"))),
    Lines("Distance from the reference", "Divergence from the reference model.", "nats per token",
          (("reference_kl", "after", "KL to the reference"),)),
    Lines("Learning rate", "As scheduled.", "learning rate", (("learning_rate", "after", "learning rate"),),
          smoothed=False),
)  # fmt: skip
_DASH_OF = {"after": "-", "train": "--", "bad": ":", "good": "-."}


def lines_panel(run: RunData, lines: Lines) -> Panel | None:
    """The card of `lines`, with those of its series that were recorded."""
    found = [(values, role, label) for key, role, label in lines.series
             if np.isfinite(values := column(run.metrics, key)).any()]  # fmt: skip
    if not found:
        return None
    steps = column(run.metrics, "step")

    def draw(ax: Axes) -> None:
        from matplotlib.ticker import FuncFormatter, NullLocator

        for values, role, _ in found:
            shown: Numbers = np.where(values > 0, values, np.nan) if lines.log else values
            plots.line(ax, steps, shown, role, _DASH_OF[role], smoothed=lines.smoothed)
        plots.count_axis(ax, "step")
        if lines.share:
            plots.percent_axis(ax, lines.unit, whole=False)
        elif lines.log and any((values > 0).any() for values, _, _ in found):
            ax.set_yscale("log")
            ax.yaxis.set_minor_locator(NullLocator())
            ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.0e}".replace("e-0", "e−")))
            ax.set_ylabel(lines.unit)
        else:
            ax.set_ylim(min(0.0, ax.get_ylim()[0]), max(ax.get_ylim()[1], 1e-12))
            ax.set_ylabel(lines.unit)

    legend = [(role, "line" if _DASH_OF[role] == "-" else "dash", label) for _, role, label in found]
    return panel(lines.title, lines.caption, legend, draw)


def loss_panel(run: RunData) -> Panel | None:
    """The named components of the loss."""
    keys = sorted(
        {key for row in run.metrics[:1] + run.metrics[-1:] for key in row if key.startswith("loss/")}
    )
    series = [(key, role, key.removeprefix("loss/")) for key, role in zip(keys, _DASH_OF)]
    caption = (
        "Its height says little in reinforcement learning: it is a handle for the gradient, not a measure."
    )
    return lines_panel(run, Lines("Loss by component", caption, "loss", series)) if series else None


TIMES = (
    ("time/sample", "after", "sampling"),
    ("time/reward", "good", "rewards"),
    ("time/train", "train", "training"),
)


def time_shares(run: RunData) -> list[tuple[str, str, float]]:
    """(colour role, label, seconds) of each part of the steps; what no part covers is `other`."""
    sums = [(role, label, float(np.nansum(column(run.metrics, key)))) for key, role, label in TIMES]
    rest = float(np.nansum(column(run.metrics, "time/step"))) - sum(s for _, _, s in sums)
    parts = [*sums, ("before", "other", rest)]
    return [part for part in parts if part[2] > 1e-9]


def time_panel(run: RunData) -> Panel | None:
    """Seconds of every step, by part."""
    parts = [(key, role, label) for key, role, label in TIMES if np.isfinite(column(run.metrics, key)).any()]
    if not parts:
        return None
    steps = column(run.metrics, "step")

    def draw(ax: Axes) -> None:
        base = np.zeros(len(steps))
        for key, role, _ in parts:
            top = base + np.nan_to_num(column(run.metrics, key))
            ax.fill_between(
                *plots.thin(steps, base), plots.thin(steps, top)[1], color=LIGHT[role], linewidth=0, alpha=0.8
            )
            base = top
        ax.set_ylim(0, None)
        ax.set_ylabel("seconds per step")
        plots.count_axis(ax, "step")

    return panel("Seconds per step", "Stacked, in the order of the legend from below.",
                 [(role, "block", label) for _, role, label in parts], draw, hero=True)  # fmt: skip
