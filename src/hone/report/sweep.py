"""A sweep as its page sees it: sweep.json with the runs that can be read, and its tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.core.errors import CheckpointError, HoneError
from hone.report.data import (
    Estimate,
    Row,
    RunData,
    estimate,
    listed,
    number,
    objects,
    read_object,
    read_run,
)
from hone.report.story import flat, span
from hone.report.words import count, duration, figure, percent, shorten

if TYPE_CHECKING:
    from hone.compute import Series

METRIC = "pass@1"


@dataclass(frozen=True)
class SweepRun:
    """A run of a sweep. `data` and `series` are None where its folder, or its readings, cannot be used."""

    cell: str
    seed: str
    row: Row
    data: RunData | None
    series: Series | None


@dataclass(frozen=True)
class Sweep:
    """sweep.json with the runs it names. `notes` say what is missing of them."""

    folder: Path
    recipe: str
    cells: tuple[Row, ...]
    seeds: int
    budget: str
    rule: str
    metrics: tuple[str, ...]
    before: Row
    table: tuple[Row, ...]
    runs: tuple[SweepRun, ...]
    failures: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def series(self) -> list[Series]:
        """The series of all runs that have one."""
        return [run.series for run in self.runs if run.series is not None]

    def of(self, cell: str) -> list[SweepRun]:
        """The runs of a cell."""
        return [run for run in self.runs if run.cell == cell]


def read_sweep(folder: Path) -> Sweep:
    """Read FOLDER/sweep.json and the runs it names. CheckpointError if it is missing, broken or names no cell."""
    path = folder / "sweep.json"
    found = read_object(path)
    cells = tuple(cell for cell in objects(found.get("cells")) if cell.get("name"))
    if not cells:
        raise CheckpointError(f"`{path}`: `cells` is missing or empty.", "Run `hone sweep` again.")
    notes: list[str] = []
    unit = str(found.get("unit", "rollouts"))
    runs = tuple(_run(folder, row, unit, notes) for row in objects(found.get("runs")))
    seeds = len(listed(found.get("seeds")))
    failures = found.get("failures")
    failures = {str(k): str(v) for k, v in failures.items()} if isinstance(failures, Mapping) else {}
    waiting = len(cells) * seeds - len(runs) - len(failures)
    if waiting > 0:
        notes.insert(0, f"{waiting} of {len(cells) * seeds} runs have not ended: the page is of the others.")
    notes += [f"{name} failed: {shorten(why, 300)[0]}" for name, why in failures.items()]
    stopped = sum(isinstance(run.row.get("stopped"), Mapping) for run in runs)
    if stopped:
        notes.append(
            f"{stopped} runs were stopped early because others were ahead: their curves end there, and what they would "
            "have become is not known."
        )
    budget = found.get("budget")
    before, rate = found.get("before"), found.get("learning_rate")
    return Sweep(
        folder=folder, recipe=str(found.get("recipe", "")), cells=cells, seeds=seeds,
        budget=_budget(budget) if isinstance(budget, Mapping) else "",
        rule=str(rate.get("rule", "")) if isinstance(rate, Mapping) else "",
        metrics=tuple(str(m) for m in listed(found.get("metrics"))),
        before=before if isinstance(before, Mapping) else {}, table=objects(found.get("table")), runs=runs,
        failures=failures, notes=tuple(notes),
    )  # fmt: skip


def _budget(budget: Row) -> str:
    return f"{count(number(budget, 'value'))} {str(budget.get('unit', '')).replace('_', ' ')}"


def _run(folder: Path, row: Row, unit: Any, notes: list[str]) -> SweepRun:
    """The run of a row; what it lacks goes into `notes`."""
    from hone.training.series import read_series

    cell, seed = str(row.get("cell", "")), str(row.get("seed", ""))
    where = folder / str(row.get("folder", ""))
    data, series = None, None
    try:
        data = read_run(where)
        series = read_series(where, unit, METRIC, cell=cell)
    except (HoneError, KeyError, TypeError, ValueError) as error:
        why = error.what if isinstance(error, HoneError) else f"Its files lack {error}."
        notes.append(f"{cell}, seed {seed}: left out of the {'curves' if data is None else 'fits'}. {why}")
    return SweepRun(cell, seed, row, data, series)


def cell_table(sweep: Sweep) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """One row a cell: what it sets, its final figures with intervals, its mean cost; before training as the first."""
    heads = [
        "",
        *sweep.metrics,
        "rollouts a step",
        "steps",
        "learning rate",
        "sampled tokens",
        "time",
        "FLOPs",
    ]
    rows = []
    if sweep.before:
        found = [estimate(sweep.before, metric) for metric in sweep.metrics]
        shown = [(percent(e.value, 1), span(e)) if e else ("–", "") for e in found]
        rows.append([("before training", ""), *shown, *[("", "")] * 6])
    for cell in sweep.cells:
        name = str(cell.get("name"))
        runs = sweep.of(name)
        stopped = sum(isinstance(run.row.get("stopped"), Mapping) for run in runs)
        many = f"{len(runs)} run{'s' * (len(runs) != 1)}" + (f", {stopped} stopped early" if stopped else "")
        means = [final(sweep, name, metric) for metric in sweep.metrics]
        batch = number(cell, "num_generations") * number(cell, "problems_per_step")
        tokens, time = (
            _mean([number(run.row, key) for run in runs]) for key in ("sampled_tokens", "seconds")
        )
        flops = _mean([number(run.data.summary, "flops") for run in runs if run.data])
        rows.append(
            [(name, many), *((percent(e.value, 1), span(e) if math.isfinite(e.value) else "") for e in means),
             (count(batch), ""), (count(number(cell, "steps")), ""), (figure(number(cell, "learning_rate")), ""),
             (count(tokens), "mean"), (duration(time), "mean"), (count(flops), "")]
        )  # fmt: skip
    kept = [at for at in range(len(heads)) if at == 0 or any(row[at][0] not in ("", "–") for row in rows)]
    return [heads[at] for at in kept], [[row[at] for at in kept] for row in rows]


def final(sweep: Sweep, cell: str, metric: str) -> Estimate:
    """A cell's mean last evaluation over the seeds with its interval, cut at 0 and 1; NaN where there is none."""
    for row in sweep.table:
        if str(row.get("cell")) == cell and str(row.get("metric")) == metric:
            limits = np.clip([number(row, key) for key in ("mean", "low", "high")], 0, 1)
            return Estimate(*limits.tolist())
    return Estimate(math.nan)


def finals(sweep: Sweep, cell: str, metric: str) -> dict[str, float]:
    """The last evaluation of each seed of a cell."""
    found = {run.seed: final for run in sweep.of(cell) if isinstance(final := run.row.get("final"), Mapping)}
    return {seed: v for seed, row in found.items() if math.isfinite(v := number(row, metric))}


def run_table(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Every single run: final figures, cost, and how it ended."""
    rows = []
    for run in sweep.runs:
        last = run.row.get("final")
        values = [number(last, m) if isinstance(last, Mapping) else math.nan for m in sweep.metrics]
        mark, state = run.row.get("stopped"), "finished"
        if isinstance(mark, Mapping):
            state = f"stopped at step {count(number(mark, 'step'))}: {mark.get('why', '')}"
        cost = [count(number(run.row, key)) for key in ("rollouts", "sampled_tokens")]
        time = duration(number(run.row, "seconds"))
        rows.append([run.cell, run.seed, *(percent(v, 1) for v in values), *cost, time, state])
    rows += [
        [name, "", *["–"] * (len(sweep.metrics) + 3), f"failed: {why}"]
        for name, why in sweep.failures.items()
    ]
    return ["cell", "seed", *sweep.metrics, "rollouts", "sampled tokens", "time", "how it ended"], rows


def common(sweep: Sweep) -> list[tuple[str, str]]:
    """The recipe keys that all runs have in common."""
    recipes = [dict(flat(run.data.recipe)) for run in sweep.runs if run.data is not None]
    first = recipes[0] if recipes else {}
    return [(key, value) for key, value in first.items() if all(r.get(key) == value for r in recipes)]


def values_of(sweep: Sweep, key: str) -> list[float]:
    """The values of a key of the cells, ascending."""
    return sorted({v for cell in sweep.cells if math.isfinite(v := number(cell, key))})


def _mean(values: Sequence[float]) -> float:
    known: Any = [v for v in values if math.isfinite(v)]
    return float(np.mean(known)) if known else math.nan
