"""A run's story as one picture for a README or a talk: walks before and after, learning curve, pass@k."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.report import mazes, plots
from hone.report.data import (
    RunData,
    before_after,
    column,
    estimate,
    evals_of,
    ks,
    number,
    read_run,
    spent_at,
    spent_before,
)
from hone.report.gallery import as_text
from hone.report.story import headline
from hone.report.theme import LIGHT, style
from hone.report.words import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MAZES = 3
WIDTH, HEIGHT = 12.0, 4.6  # inches


def story_figure(run: Path, path: Path) -> Path:
    """Draw the run folder `run` into `path` (.svg or .png, 2400 pixels wide); returns `path`.

    Panels without data are left out. The mazes are the first stored ones that were answered before and after.
    """
    from matplotlib.figure import Figure

    read = read_run(Path(run))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    walks = _walks(read)
    told = headline(read)
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained", facecolor="white")
        rows: Any = figure.subfigures(2, 1, height_ratios=[0.19, 0.81])
        top, main = rows
        change = " → ".join(part for part in (told.before, told.after) if part)
        top.text(0.012, 0.68, f"{clean(told.name)}  {change}", size=21, weight="bold", va="center")
        top.text(0.012, 0.27, clean(told.deck), size=12, color=LIGHT["muted"], va="center")
        widths = [0.4, 0.6] if walks else [0.0001, 1]
        left, right = main.subfigures(1, 2, width_ratios=widths)
        if walks:
            _draw_walks(left, walks)
        _draw_curves(right, read)
        figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def _walks(run: RunData) -> list[tuple[mazes.Walk, mazes.Walk]]:
    last = max((number(s, "step", 0.0) for s in run.samples if s.get("split") != "train"), default=0.0)
    sides: dict[str, dict[str, Mapping[str, Any]]] = {}
    for sample in run.samples:
        if sample.get("split") != "train" and sample.get("task") == "maze":
            when = {0.0: "before", last: "after"}.get(number(sample, "step"))
            if when and mazes.grid(as_text(sample.get("prompt", ""))):
                sides.setdefault(str(sample.get("problem")), {}).setdefault(when, sample)
    found = []
    for pair in sides.values():
        rows = mazes.grid(as_text(next(iter(pair.values())).get("prompt", "")))
        if len(pair) == 2 and rows:
            found.append(
                tuple(mazes.walk(rows, str(pair[when].get("text", ""))) for when in ("before", "after"))
            )
    return [(before, after) for before, after in found[:MAZES]]


def _draw_walks(figure: SubFigure, walks: list[tuple[mazes.Walk, mazes.Walk]]) -> None:
    axes = figure.subplots(2, len(walks), squeeze=False)
    for column_, pair in enumerate(walks):
        for row, walk in enumerate(pair):
            draw_maze(axes[row][column_], walk)
    for row, words in enumerate(("before", "after")):
        axes[row][0].set_ylabel(words, size=12, weight="bold", color=LIGHT[words], labelpad=6)


def draw_maze(ax: Axes, walk: mazes.Walk) -> None:
    """The maze and the walk on `ax`, with a tick or a cross in its title."""
    from matplotlib.patches import FancyBboxPatch

    height, width = len(walk.rows), len(walk.rows[0])
    good = walk.end == "goal"
    colour = LIGHT["good" if good else "bad"]
    ax.add_patch(FancyBboxPatch((0, 0), width, height, boxstyle="round,pad=0.18,rounding_size=0.3",
                                facecolor="#f3f5f8", edgecolor=LIGHT["before"], linewidth=1))  # fmt: skip
    walls = np.array([[mark == "#" for mark in row] for row in walk.rows])
    shade = np.zeros((height, width, 4))
    shade[walls] = (0.32, 0.37, 0.44, 1)
    ax.imshow(shade, extent=(0, width, height, 0), interpolation="nearest", zorder=2)
    for r, row in enumerate(walk.rows):
        for c, mark in enumerate(row):
            if mark in "SG":
                ax.plot([c + 0.5], [r + 0.5], marker="o" if mark == "S" else "D", markersize=5.5, zorder=3,
                        color=LIGHT["ink"] if mark == "S" else LIGHT["train"])  # fmt: skip
    points = mazes.track(walk.places, walk.end == "wall")
    if points:
        xs, ys = zip(*points)
        ax.plot(xs, ys, color=colour, linewidth=2.4, linestyle="-" if good else (0, (2.2, 1.1)), zorder=4)
        if not good:
            ax.plot(xs[-1:], ys[-1:], marker="x", color=colour, markersize=6, markeredgewidth=2, zorder=5)
    ax.set_xlim(-0.35, width + 0.35)
    ax.set_ylim(height + 0.35, -0.35)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.set_frame_on(False)
    ax.set_xlabel("✓ goal" if good else f"✗ {walk.end}", color=colour, size=9.5,
                  labelpad=2, family="DejaVu Sans")  # fmt: skip


def _draw_curves(figure: SubFigure | Figure, run: RunData) -> None:
    before, after = before_after(run)
    curves = [
        plots.Curve(role, ks(row), [e for k in ks(row) if (e := estimate(row, f"pass@{k}"))], dash, marker)
        for role, row, dash, marker in (("before", before, "--", "s"), ("after", after, "-", "o"))
        if len(ks(row)) > 1
    ]
    axes = figure.subplots(1, 2 if curves else 1, squeeze=False)[0]
    rows = [row for row in evals_of(run) if estimate(row, "pass@1")]
    curve = axes[0]
    curve.set_title("Learning curve", loc="left", size=12, weight="bold")
    rates = column(run.metrics, "pass_rate")
    if np.isfinite(rates).any():
        plots.line(curve, spent_before(run, "rollouts"), rates, "train", "--")
        curve.plot([], [], color=LIGHT["train"], linestyle="--", label="training problems")
    found = [e for row in rows if (e := estimate(row, "pass@1"))]
    plots.with_intervals(
        curve, spent_at(run, rows, "rollouts"), found, "after", label="held-out pass@1, 95% intervals"
    )
    plots.percent_axis(curve, "pass rate")
    plots.count_axis(curve, plots.UNIT_LABELS["rollouts"])
    curve.legend(frameon=False, loc="upper left", fontsize=9.5)
    if not curves:
        return
    wide = axes[1]
    wide.set_title("pass@k", loc="left", size=12, weight="bold")
    plots.pass_at_k(wide, curves)
    wide.set_xlabel("k answers per problem (log scale)")
    for line in curves:
        shift, side = ((-9, 7), "right") if line.role == "after" else ((9, -14), "left")
        wide.annotate(line.role, (line.ks[1], line.estimates[1].value), shift, textcoords="offset points", ha=side,
                      color=LIGHT[line.role], weight="bold", size=10.5)  # fmt: skip
