"""Cells at one budget as a map over num_generations and problems_per_step: the best, and what may be as good."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hone.core.errors import DataError
from hone.report.data import Estimate, number
from hone.report.frontiers import Frontiers
from hone.report.panels import Panel, panel
from hone.report.sweep import Sweep, final, finals
from hone.report.theme import LIGHT
from hone.report.words import count, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hone.compute import Frontier, RecipeCurve

SHARES = (1 / 16, 1 / 4, 1.0)  # of the largest budget
FAINT, STRONG = 0.04, 0.5  # of the shade; text must stay readable on it in both themes
MOST = 9  # columns whose cells have room for an interval
Place = tuple[float, float]  # num_generations, problems_per_step


@dataclass(frozen=True)
class HeatMap:
    """Rewards by place. `alike` are the places whose difference from the `best` one has an interval around zero."""

    title: str
    caption: str
    values: Mapping[Place, Estimate]
    best: Place
    alike: frozenset[Place]


def fitted_maps(found: Frontiers) -> list[HeatMap]:
    """The cells' curves at a sixteenth, a quarter and all of the largest budget, as far as runs reach them."""
    cells = found.cells
    if cells is None or not _is_map(set(zip(cells.num_generations, cells.problems_per_step))):
        return []
    largest = max(curve.reach for curve in cells.curves)
    made = [_fitted(cells, share * largest) for share in SHARES]
    return [one for one in made if one is not None]


def held_out_map(sweep: Sweep) -> HeatMap | None:
    """The cells' last evaluations; None where there are none, or several cells lie at one place."""
    places = {_place(cell) for cell in sweep.cells}
    if not sweep.metrics or len(places) < len(sweep.cells) or not _is_map(places):
        return None
    return _held_out(sweep, sweep.metrics[0])


def _is_map(places: set[Place]) -> bool:
    """Whether there is something to compare; a single place is no map."""
    return len(places) > 1 and all(math.isfinite(v) for place in places for v in place)


def _place(cell: Mapping[str, object]) -> Place:
    return number(cell, "num_generations"), number(cell, "problems_per_step")


def _fitted(found: Frontier, budget: float) -> HeatMap | None:
    """Every cell's fitted curve at `budget`, for cells whose runs reach it; of several with one place the best."""
    from hone.compute import compare_at

    chosen: dict[Place, tuple[RecipeCurve, Estimate]] = {}
    beyond = 0.0
    for at, curve in enumerate(found.curves):
        if budget > curve.reach * (1 + 1e-9):
            continue
        far = budget / curve.fit.max_compute * (1 + 1e-9)  # a run ends one step after its last reading
        reward = curve.predict(budget, max_extrapolation=max(1.0, far)).reward
        place = float(found.num_generations[at]), float(found.problems_per_step[at])
        if place not in chosen or reward.value > chosen[place][1].value:
            chosen[place] = curve, Estimate(reward.value, reward.low, reward.high)
        beyond = max(beyond, far)
    if not chosen:
        return None
    best = max(chosen, key=lambda place: chosen[place][1].value)
    alike = {
        place
        for place, (curve, _) in chosen.items()
        if place != best
        and not compare_at(chosen[best][0], curve, budget, max_extrapolation=max(1.0, beyond)).real
    }
    unit = found.unit.replace("_", " ")
    return HeatMap(
        f"{found.metric} at {count(budget)} {unit}", "The cells' fitted curves at this budget, 95% intervals.",
        {place: e for place, (_, e) in chosen.items()}, best, frozenset(alike),
    )  # fmt: skip


def _held_out(sweep: Sweep, metric: str) -> HeatMap | None:
    """The last evaluations: means over seeds, paired by seed for what is alike."""
    from hone.evals import t_interval

    cells = {_place(cell): str(cell.get("name")) for cell in sweep.cells}
    values = {
        place: e for place, name in cells.items() if math.isfinite((e := final(sweep, name, metric)).value)
    }
    if not values:
        return None
    best = max(values, key=lambda place: values[place].value)
    top = finals(sweep, cells[best], metric)
    alike = set()
    for place in values.keys() - {best}:
        other = finals(sweep, cells[place], metric)
        try:
            gap = t_interval([top[seed] - other[seed] for seed in top.keys() & other.keys()])
        except DataError:  # fewer than two seeds in common decide nothing
            alike.add(place)
            continue
        if gap.low <= 0:
            alike.add(place)
    return HeatMap(
        f"Held-out {metric} at the end",
        "Mean over the seeds with its 95% interval. Differences are taken seed by seed; one seed alone tells none.",
        values, best, frozenset(alike),
    )  # fmt: skip


def heat_panel(heat: HeatMap) -> Panel:
    """The card of a map."""
    rows = len({place[1] for place in heat.values})
    legend = (
        [("ink", "line", "best"), ("ink", "dash", "not told apart from the best")]
        if len(heat.values) > 1
        else []
    )
    caption = f"{heat.caption} The shade runs from the lowest to the highest cell."
    return panel(heat.title, caption, legend, partial(draw_heat, heat=heat), height=min(420, 60 + 46 * rows))


def draw_heat(ax: Axes, heat: HeatMap) -> None:
    """The map on `ax`: shade, value and interval of each cell; the best outlined, its equals by dashes."""
    from matplotlib.patches import Rectangle

    columns, rows = (sorted({place[i] for place in heat.values}) for i in (0, 1))
    shown = [e.value for e in heat.values.values()]
    low, spread = min(shown), max(max(shown) - min(shown), 1e-12)
    few = len(columns) <= MOST
    for place, e in heat.values.items():
        x, y = columns.index(place[0]), rows.index(place[1])
        shade = FAINT + (STRONG - FAINT) * (e.value - low) / spread
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=LIGHT["after"], alpha=shade, linewidth=0))
        if place == heat.best or place in heat.alike:
            dash = "-" if place == heat.best else (0, (3, 2))
            ax.add_patch(Rectangle((x - 0.44, y - 0.43), 0.88, 0.86, fill=False, edgecolor=LIGHT["ink"],
                                   linewidth=2.2 if place == heat.best else 1.1, linestyle=dash))  # fmt: skip
        known = few and math.isfinite(e.low) and math.isfinite(e.high)
        ax.text(x, y + (0.08 if known else 0), percent(e.value, 1 if len(columns) < 6 else 0), ha="center",
                va="center" if not known else "bottom", weight="bold", size=11 if len(columns) < 6 else 9,
                color=LIGHT["ink"])  # fmt: skip
        if known:
            ax.text(x, y - 0.06, f"{100 * e.low:.0f}–{100 * e.high:.0f}", ha="center", va="top", size=9.5,
                    color=LIGHT["ink"])  # fmt: skip
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(-0.5, len(rows) - 0.5)
    ax.set_xticks(range(len(columns)), [count(v) for v in columns])
    ax.set_yticks(range(len(rows)), [count(v) for v in rows])
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
    ax.set_xlabel("num_generations")
    ax.set_ylabel("problems_per_step")
