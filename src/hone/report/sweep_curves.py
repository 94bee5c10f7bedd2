"""Learning curves of a sweep's cells: means over seeds with bands, against every unit of effort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hone.report import plots
from hone.report.compare import mean_curve, rate_curve
from hone.report.data import UNITS, Numbers, Row, number
from hone.report.panels import Panel, panel
from hone.report.rates import rate_panel
from hone.report.sweep import Sweep, values_of
from hone.report.words import count, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Band = tuple[int, Numbers, Numbers, Numbers, Numbers]  # place in the legend, x, mean, low, high


def curve_panels(sweep: Sweep) -> dict[str, list[Panel]]:
    """For each unit that was recorded, a card for every `num_generations`: all units but steps, which cells set."""
    cards: dict[str, list[Panel]] = {}
    for unit in UNITS[1:]:
        found = [card for value in _groups(sweep) if (card := _card(sweep, unit, value)) is not None]
        if found:
            cards[unit] = found
    return cards


def rate_panels(sweep: Sweep) -> list[Panel]:
    """The pass rates of training groups, a card for every `num_generations`."""
    found = []
    for value in _groups(sweep):
        runs = [run.data for cell in _cells(sweep, value) for run in sweep.of(str(cell["name"])) if run.data]
        if (card := rate_panel(runs, value, _suffix(value))) is not None:
            found.append(card)
    return found


def _groups(sweep: Sweep) -> list[float]:
    return values_of(sweep, "num_generations") or [np.nan]


def _cells(sweep: Sweep, value: float) -> list[Row]:
    """The cells with one num_generations; all of them where none is known."""
    return [
        cell for cell in sweep.cells if not np.isfinite(value) or number(cell, "num_generations") == value
    ]


def _suffix(value: float) -> str:
    return f", num_generations {count(value)}" if np.isfinite(value) else ""


def _card(sweep: Sweep, unit: str, value: float) -> Panel | None:
    bands: dict[str, Band] = {}
    for at, cell in enumerate(_cells(sweep, value)):
        runs = [run.data for run in sweep.of(str(cell["name"])) if run.data is not None]
        if found := mean_curve([rate_curve(run, unit) for run in runs]):
            bands[_label(cell)] = (at, *found)
    if not bands:
        return None
    legend = [plots.legend_key(at, label) for label, (at, *_) in bands.items()]
    return panel(
        f"Training pass rate{_suffix(value)}", "Mean over the seeds, averaged over steps; bands are 95% intervals.",
        legend, partial(_draw, bands=list(bands.values()), unit=unit), key=unit,
    )  # fmt: skip


def _label(cell: Row) -> str:
    """What a cell sets beside num_generations."""
    keys = cell.get("keys")
    rest = {k: v for k, v in keys.items() if k != "num_generations"} if isinstance(keys, Mapping) else {}
    return shorten(", ".join(f"{k}={v}" for k, v in rest.items()) or str(cell["name"]), 80)[0]


def _draw(ax: Axes, bands: Sequence[Band], unit: str) -> None:
    for at, xs, mean, low, high in bands:
        colour, dash, _ = plots.look(at)
        plots.band(ax, xs, np.clip(low, 0, 1), np.clip(high, 0, 1), colour)
        plots.line(ax, xs, mean, colour, dash, smoothed=False)
    plots.percent_axis(ax, "pass rate", whole=False)
    plots.unit_axis(ax, unit)
