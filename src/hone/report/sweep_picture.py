"""A sweep as one picture for a guide or a talk: frontier, n*(C) and the map of the cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone.core.errors import DataError
from hone.report import plots
from hone.report.frontiers import SYMBOLS, Frontiers, allocation, draw_frontier, draw_track, frontiers_of
from hone.report.heat import draw_heat, fitted_maps
from hone.report.sweep import Sweep, read_sweep
from hone.report.theme import LIGHT, style
from hone.report.words import clean, count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 12.0, 4.4  # inches


def sweep_figure(folder: Path, path: Path) -> Path:
    """Draw the sweep in `folder` into `path` (.svg or .png, 2400 pixels wide); returns `path`.

    The map is that of the largest budget. CheckpointError if sweep.json is missing or broken, DataError if the sweep
    has no frontier, which says why.
    """
    from matplotlib.figure import Figure

    read = read_sweep(Path(folder))
    found = frontiers_of(read.series)
    if not found.pooled:
        raise DataError(
            "The sweep has no frontier to draw.", " ".join(found.why) or "Run it on with `hone sweep`."
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with style():
        figure = Figure(figsize=(WIDTH, HEIGHT), facecolor="white")
        axes: Any = figure.subplots(1, 3, width_ratios=[1.25, 1, 0.95])
        _draw(axes, read, found)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


def _draw(axes: list[Axes], read: Sweep, found: Frontiers) -> None:
    key, fitted = next(iter(found.pooled.items()))
    draw_frontier(axes[0], found.series, fitted)
    for at, value in enumerate(getattr(fitted, key)):
        colour, dash, _ = plots.look(at)
        axes[0].plot([], [], color=LIGHT[colour], linestyle=dash, label=f"{key} {count(value)}")
    axes[0].plot([], [], color=LIGHT["ink"], linewidth=5, label="envelope")
    axes[0].plot([], [], linestyle="none", marker="o", markersize=3.5, markerfacecolor="none", color=LIGHT["before"],
                 label="record readings")  # fmt: skip
    axes[0].legend(frameon=False, loc="upper left", fontsize=9.5)
    draw_track(axes[1], fitted, key, allocation(fitted))
    titles = [clean(f"Frontier of {read.recipe}"), f"{SYMBOLS[key]}, 95% interval"]
    if maps := fitted_maps(found):
        draw_heat(axes[2], maps[-1])
        titles.append(maps[-1].title)
    else:
        axes[2].set_axis_off()
    for ax, title in zip(axes, titles):
        ax.set_title(title, loc="left", size=12, weight="bold")
