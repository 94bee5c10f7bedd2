"""Pass rates of training groups over the course of training: how the mass moves to none right and to all right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.report.data import Numbers, Row, RunData, listed, number
from hone.report.panels import Panel, panel
from hone.report.theme import LIGHT
from hone.report.words import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WINDOWS = (("first eighth", 0.0), ("at a quarter", 3 / 16), ("at half", 7 / 16), ("last eighth", 7 / 8))
WIDTH = 1 / 8  # of a run's steps
BINS = 8  # at most, of rates strictly between 0 and 1
LEGEND = [("bad", "block", "none right"), ("after", "block", "some right"), ("good", "block", "all right")]


@dataclass(frozen=True)
class Mass:
    """The groups of one window: shares with none right, all right, and of each bin between; they sum to 1."""

    label: str
    groups: int
    none: float
    every: float
    between: Numbers

    @property
    def silent(self) -> float:
        """The share of groups whose rollouts all fare alike."""
        return self.none + self.every


def masses(runs: Sequence[RunData], bins: int) -> list[Mass]:
    """The windows that have a judged group, pooled over `runs`, each cut by its own steps."""
    found = []
    for label, start in WINDOWS:
        rates = np.concatenate([_rates(_cut(run.metrics, start)) for run in runs] or [np.zeros(0)])
        if not len(rates):
            continue
        inner = rates[(rates > 0) & (rates < 1)]
        between = np.histogram(inner, np.linspace(0, 1, bins + 1))[0] / len(rates)
        found.append(Mass(label, len(rates), float((rates == 0).mean()), float((rates == 1).mean()), between))
    return found


def _cut(lines: Sequence[Row], start: float) -> Sequence[Row]:
    """An eighth of the lines, at least one."""
    first = round(start * len(lines))
    return lines[first : max(first + 1, round((start + WIDTH) * len(lines)))]


def _rates(lines: Sequence[Row]) -> Numbers:
    """Pass rates of the groups of some steps; groups without a judged rollout are left out."""
    found = []
    for line in lines:
        for correct, judged in zip(_counts(line, "groups/correct"), _counts(line, "groups/judged")):
            if judged >= 1 and 0 <= correct <= judged:
                found.append(correct / judged)
    return np.array(found, dtype=np.float64)


def _counts(line: Row, key: str) -> list[float]:
    return [number({"": value}, "") for value in listed(line.get(key))]


def rate_panel(runs: Sequence[RunData], num_generations: float, key: str = "") -> Panel | None:
    """The card of some runs with one `num_generations`; None where no group was recorded."""
    bins = int(min(BINS, max(1, num_generations - 1))) if np.isfinite(num_generations) else BINS
    found = masses(runs, bins)
    if not found:
        return None
    title = f"Pass rates{key}" if key else "Pass rates in training"
    caption = (
        "Groups of fresh problems before each update, from the start of training above to its end below. "
        "Groups at either end teach nothing."
    )
    return panel(
        title, caption, LEGEND, partial(draw_rates, found=found), height=66 + 56 * len(found), left=80
    )


def draw_rates(ax: Axes, found: Sequence[Mass]) -> None:
    """One row of bars a window, all at one scale, with the shares at both ends and of groups without signal."""
    top = max(max(one.none, one.every, one.between.max()) for one in found)
    for at, one in enumerate(found):
        base = len(found) - 1 - at
        edges = np.linspace(0, 1, len(one.between) + 1)
        scale = 0.62 / top
        width = edges[1] - edges[0]
        shape: Any = {"align": "edge", "bottom": base}
        ax.bar(edges[:-1] + 0.08 * width, one.between * scale, 0.84 * width, color=LIGHT["after"], **shape)
        for left, share, role in ((-0.13, one.none, "bad"), (1.03, one.every, "good")):
            ax.bar([left], [share * scale], 0.1, color=LIGHT[role], **shape)
            ax.text(
                left + 0.05,
                base + share * scale + 0.03,
                percent(share),
                ha="center",
                size=9.5,
                color=LIGHT["ink"],
            )
        ax.axhline(base, color=LIGHT["grid"], linewidth=1, zorder=0)
        ax.text(
            0.5,
            base + 0.7,
            f"{percent(one.silent)} without signal",
            ha="center",
            size=9.5,
            color=LIGHT["muted"],
        )
    ax.set_yticks([len(found) - 1 - at + 0.25 for at in range(len(found))], [one.label for one in found])
    ax.set_xticks([-0.08, 0.25, 0.5, 0.75, 1.08], ["none", "25%", "50%", "75%", "all"])
    ax.set_xlim(-0.16, 1.16)
    ax.set_ylim(0, len(found))
    ax.grid(visible=False)
    ax.set_xlabel(f"share of a group that is right ({count(sum(one.groups for one in found))} groups)")
