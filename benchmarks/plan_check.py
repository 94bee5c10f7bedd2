"""Whether a plan holds: plan and curves from the first part of a sweep's budget, against its runs at the whole budget.

    python benchmarks/plan_check.py runs/grid --share 0.25

What was measured of a cell is the mean over seeds of its pass rate on fresh problems, before each update, in the last
eighth of the budget; limits are 95% t-limits over seeds. Evaluations at the end of the runs stand beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hone.compute import Series, fit_recipe, plan
from hone.compute.rollout_cost import Budget
from hone.core.errors import DataError
from hone.evals import t_interval
from hone.training.folder import RunFolder
from hone.training.series import RunSeries, read_runs

LATE = 7 / 8  # of the budget: readings from there on are what a run has reached


@dataclass(frozen=True)
class Reached:
    """What the runs of a cell reached at the whole budget, over their seeds."""

    cell: str
    value: float
    low: float
    high: float
    evaluated: float  # mean pass@1 of the evaluations at the end


def first_part(series: Series, until: float) -> Series:
    """The readings of a run up to `until` compute."""
    some = series.compute <= until
    return replace(
        series, compute=series.compute[some], reward=series.reward[some], problems=series.problems[some]
    )


def reached(runs: Sequence[RunSeries], budget: float) -> dict[str, Reached]:
    """What every cell reached, by cell."""
    cells: dict[str, list[RunSeries]] = {}
    for run in runs:
        cells.setdefault(run.series.cell, []).append(run)
    found = {}
    for cell, mine in cells.items():
        late = [_late(run.series, budget) for run in mine]
        evals = [RunFolder(run.folder).read("eval.jsonl")[-1]["pass@1"]["value"] for run in mine]
        limits = t_interval(late)
        found[cell] = Reached(cell, limits.value, limits.low, limits.high, float(np.mean(evals)))
    return found


def _late(series: Series, budget: float) -> float:
    """The mean reading from `LATE` of the budget on, problems weighing alike; the last one if none is so late."""
    some = series.compute >= LATE * budget
    some[-1] = True
    return float(np.average(series.reward[some], weights=series.problems[some]))


def check(folder: Path, share: float, seed: int = 0) -> dict[str, object]:
    """The plan from the first `share` of the budget, every cell's prediction, and what was measured."""
    runs = read_runs([folder])
    budget = max(
        float(r.series.num_generations * r.series.problems_per_step + r.series.compute[-1]) for r in runs
    )
    early = [first_part(run.series, share * budget) for run in runs]
    factor = 1.01 / share  # how far beyond the early part the budget is, with a little room for whole steps
    planned = plan(Budget(budget, "rollouts"), sweep=early, in_rollouts=early, max_extrapolation=2 * factor)
    measured = reached(runs, budget)
    rows, gaps = [], []
    for cell, found in measured.items():
        row: dict[str, object] = {"cell": cell, "measured": [found.value, found.low, found.high]}
        row["evaluated"] = found.evaluated
        try:
            curve = fit_recipe([s for s in early if s.cell == cell], r0="fit", noise="binomial", seed=seed)
            predicted = curve.predict(budget, max_extrapolation=4 * factor)
        except DataError as error:
            row["left_out"] = str(error)
        else:
            row["predicted"] = [predicted.reward.value, predicted.reward.low, predicted.reward.high]
            row["error"] = predicted.reward.value - found.value
            gaps.append(predicted.reward.value - found.value)
        rows.append(row)
    best = max(measured.values(), key=lambda one: one.value)
    name = f"num_generations={planned.num_generations},problems_per_step={planned.problems_per_step}"
    chosen = measured.get(name)
    return {
        "budget": budget,
        "share": share,
        "plan": planned.as_dict(),
        "chosen": None if chosen is None else vars(chosen),
        "best": vars(best),
        "behind_best": None if chosen is None else best.value - chosen.value,
        "rmse": float(np.sqrt(np.mean(np.square(gaps)))) if gaps else None,
        "cells": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a finished sweep")
    parser.add_argument("--share", type=float, default=0.25, help="of the budget that the plan is made from")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    found = check(given.folder, given.share)
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found["plan"], indent=2))
    for row in found["cells"]:  # type: ignore[attr-defined]
        ends = " ".join(
            f"{key} {100 * row[key][0]:.1f} [{100 * row[key][1]:.1f}, {100 * row[key][2]:.1f}]"
            for key in ("predicted", "measured")
            if key in row
        )
        print(f"{row['cell']:44} {ends} evaluated {100 * row['evaluated']:.1f} {row.get('left_out', '')}")
    for key in ("chosen", "best", "behind_best", "rmse"):
        print(key, found[key])


if __name__ == "__main__":
    main()
