"""Sweep: every cell with every seed, as runs of their own in one folder with one table."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone.core.errors import CheckpointError, HoneError, RecipeError
from hone.core.recipe import Recipe
from hone.tasks import make
from hone.training.arms import Arm, Workers
from hone.training.cells import BATCH, Budget, Cell, Rule, rollouts_of
from hone.training.compare import evaluation_settings, measure_base, table
from hone.training.disk import write_whole
from hone.training.domination import RULE
from hone.training.folder import RunFolder
from hone.training.frontiers import frontier_of
from hone.training.lock import locked
from hone.training.readings import spent
from hone.training.same import differences
from hone.training.series import SWEEP, read_runs, stale
from hone.training.stopping import listening
from hone.training.watch import DominationWatch, mark_of

DEEPEST = 4  # folders between one given to reuse and the runs in it
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep runs: `cells` with seeds 0 .. `seeds` - 1. `base` is the recipe without what cells set."""

    name: str
    base: Recipe
    cells: tuple[Cell, ...]
    seeds: int
    rule: Rule
    budget: Budget | None = None

    def head(self) -> dict[str, Any]:
        """The plan as sweep.json holds it."""
        return {
            "recipe": self.name,
            "cells": [_cell_row(cell) for cell in self.cells],
            "seeds": list(range(self.seeds)),
            "budget": self.budget and {"unit": self.budget.unit, "value": self.budget.value},
            "unit": self.budget.unit if self.budget else "rollouts",
            "learning_rate": {
                "rule": self.rule, "value": self.base.learning_rate, "rollouts_of_a_step": rollouts_of(self.base),
            },
        }  # fmt: skip


def run_sweep(
    plan: SweepPlan,
    out: Path,
    *,
    workers: int = 2,
    stop_dominated: bool = False,
    reuse: Sequence[Path] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Run what is not finished of a plan; returns the content of sweep.json, which is written after every run.

    At the end it has the frontier of `frontier_of` as well, where cells differ in a key of BATCH.

    Runs lie in `out`/runs/<cell>/seed<k> and take turns seed by seed, so that an interrupted sweep has whole grids;
    `workers` processes of one thread run at a time. Finished runs of the folder are taken, and those within the folders
    `reuse` whose recipe is equal in all that decides the result. Where every cell is evaluated alike, the base model is
    measured once, in `out`/baseline.json. With `stop_dominated` runs are stopped by `domination.RULE`; a run that was
    stopped stays so, unless the sweep is gone on with without it. `failures` maps a run that failed to its last lines.
    Raises RecipeError for a plan without meaning, CheckpointError if `out` belongs to another sweep or is being
    written by one.
    """
    if plan.seeds < 1 or workers < 1:
        raise RecipeError(f"{plan.seeds} seeds, {workers} workers.", "Each must be at least 1.")
    if stop_dominated:
        _check_fresh(plan)
    with locked(out), listening(tell):  # an interrupt passes through here, so that no run is left behind
        before = _baseline(plan, out, tell)
        places = _places(plan, out, [*_known(out), *reuse])
        arms = [_arm(plan, cell, seed, places) for seed in range(plan.seeds) for cell in plan.cells]
        return _run(plan, out, arms, before, workers, stop_dominated, tell)


def _run(
    plan: SweepPlan,
    out: Path,
    arms: Sequence[Arm],
    before: dict[str, Any],
    workers: int,
    stop_dominated: bool,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    finished = {arm.name for arm in arms if arm.finished()}
    elsewhere = [arm for arm in arms if out not in arm.folder.parents]
    for arm in arms:
        if arm not in elsewhere and (arm.name in finished or not stop_dominated):
            mark_of(arm).unlink(missing_ok=True)
    waiting = [arm for arm in arms if arm.name not in finished and not mark_of(arm).is_file()]
    for arm in waiting:
        arm.folder.parent.mkdir(parents=True, exist_ok=True)
    tell(
        f"{len(arms)} runs, {len(finished)} of them finished before"
        + (f", {len(elsewhere)} of these in other folders" if elsewhere else "")
    )
    failures: dict[str, str] = {}

    def write(_: Arm | None = None) -> None:
        _write(out, _content(plan, out, arms, before, failures))

    write()
    watch = (
        DominationWatch(arms, plan.budget.unit if plan.budget else "rollouts", tell)
        if stop_dominated
        else None
    )
    pool = Workers(workers, tell, after=write)
    if watch is not None:
        tell(f"dominated runs are stopped: {RULE}")
        pool.unwanted = watch.unwanted
    failures.update(pool.run(waiting))
    write()
    content = _content(plan, out, arms, before, failures)
    content["frontier"] = _frontier(plan, out, tell)
    _write(out, content)
    if failures and not content["runs"]:
        first = next(iter(failures))
        raise CheckpointError(
            f"No run finished; {first}: {failures[first]}", "Correct what it names, and run again."
        )
    return content


def _content(
    plan: SweepPlan, out: Path, arms: Sequence[Arm], before: dict[str, Any], failures: dict[str, str]
) -> dict[str, Any]:
    """What sweep.json holds: the plan, a row for every run that has ended, and means over seeds."""
    shown = metrics_of(plan.base)
    rows: Rows = []
    for arm in arms:
        row = {"cell": arm.label, "seed": arm.seed, "folder": os.path.relpath(arm.folder, out)}
        if (arm.folder / "summary.json").is_file():
            rows.append(row | arm.result(shown) | {"stopped": None})
        elif mark_of(arm).is_file():
            rows.append(row | _stopped_row(arm))
    return {
        **plan.head(),
        "metrics": shown,
        "before": before,
        "runs": rows,
        "table": table(rows, [cell.name for cell in plan.cells], shown, "cell"),
        "failures": dict(failures),
        "frontier": None,
    }


def _write(out: Path, content: dict[str, Any]) -> None:
    write_whole(out / SWEEP, json.dumps(content, indent=2) + "\n")


def _frontier(plan: SweepPlan, out: Path, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """The frontier of the runs in pass@1; None if there is none to draw."""
    if not any(len({getattr(cell.recipe, key) for cell in plan.cells}) > 1 for key in BATCH):
        return None
    try:
        unit = plan.budget.unit if plan.budget else "rollouts"
        return frontier_of([run.series for run in read_runs([out], unit)])
    except HoneError as error:  # a sweep is whole without it
        tell(f"no frontier: {error.what}")
        return None


def metrics_of(recipe: Recipe) -> list[str]:
    """pass@k and worst@k of a run's last evaluation; worst@1 is pass@1."""
    ks = [k for k in recipe.eval.k if k <= recipe.eval.samples]
    return [f"pass@{k}" for k in ks] + [f"worst@{k}" for k in ks if k > 1]


def _stopped_row(arm: Arm) -> dict[str, Any]:
    """A run that was stopped: its cost so far, and why."""
    lines = RunFolder(arm.folder).read("metrics.jsonl")
    cost = {key: lines[-1][key] for key in ("sampled_tokens", "rollouts")}
    seconds = round(spent(lines, "seconds", arm.folder)[-1], 2)
    mark = json.loads(mark_of(arm).read_text(encoding="utf-8"))
    return {"final": {}, **cost, "seconds": seconds, "stopped": mark}


def _cell_row(cell: Cell) -> dict[str, Any]:
    names = ("num_generations", "problems_per_step", "steps", "max_sampled_tokens", "learning_rate")
    numbers = {name: getattr(cell.recipe, name) for name in names}
    return {"name": cell.name, "keys": dict(cell.keys), **numbers, "rollouts": cell.rollouts}


def _arm(plan: SweepPlan, cell: Cell, seed: int, places: dict[tuple[str, int], Path]) -> Arm:
    return Arm(cell.name, seed, cell.recipe.model_copy(update={"seed": seed}), places[cell.name, seed])


def _places(plan: SweepPlan, out: Path, reuse: Iterable[Path]) -> dict[tuple[str, int], Path]:
    """Where the run of every cell and seed lies: in `out`, or in a folder to reuse that has it finished."""
    found = [(folder, RunFolder(folder).read_recipe()) for folder in _finished_in(reuse)]
    places = {}
    for cell in plan.cells:
        for seed in range(plan.seeds):
            own = out / "runs" / cell.folder / f"seed{seed}"
            recipe = cell.recipe.model_copy(update={"seed": seed})
            other = () if own.exists() else (f for f, stored in found if not differences(recipe, stored))
            places[cell.name, seed] = next(iter(other), own)
    return places


def _finished_in(folders: Iterable[Path]) -> list[Path]:
    """The finished runs among `folders` and in the folders below them. Raises CheckpointError for one that has none."""
    found: list[Path] = []
    for folder in folders:
        levels = ["/".join(["*"] * depth) for depth in range(1, DEEPEST + 1)]
        inside = [folder, *(path for level in levels for path in sorted(folder.glob(level)))]
        runs = [p for p in inside if (p / "summary.json").is_file() and (p / "recipe.yaml").is_file()]
        if not runs:
            raise CheckpointError(f"There is no finished run in {folder}.", "Name a folder of runs to reuse.")
        found += [run for run in runs if run not in found]
    return found


def _known(out: Path) -> list[Path]:
    """Runs outside of `out` that its sweep.json has taken, as far as they still exist."""
    path = out / SWEEP
    rows = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.is_file() else []
    outside = [Path(os.path.normpath(out / row["folder"])) for row in rows if row["folder"].startswith("..")]
    return [folder for folder in outside if (folder / "summary.json").is_file()]


def _baseline(plan: SweepPlan, out: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """The untrained model's evaluation, by metric; empty where cells are evaluated in different ways."""
    settings = [evaluation_settings(cell.recipe) for cell in plan.cells]
    if any(one != settings[0] for one in settings):
        tell("the cells are evaluated in different ways, so the model is not measured before training")
        return {}
    line = measure_base(plan.cells[0].recipe, out, tell)
    return {metric: line[metric] for metric in metrics_of(plan.base) if metric in line}


def _check_fresh(plan: SweepPlan) -> None:
    """Raise RecipeError for cells whose readings during training are not of fresh problems."""
    for cell in plan.cells:
        task = cell.recipe.task
        size = make(task.name, **task.options).size("train")
        if reason := stale(cell.recipe.dump(), cell.recipe.steps, size):
            raise RecipeError(
                f"The pass rates of `{cell.name}` cannot say whether it is dominated: {reason}.",
                "Leave out `--stop-dominated`.",
            )
