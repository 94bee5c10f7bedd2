"""Runs as series of reward against compute: fresh problems of training, or evaluations where it repeats problems."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hone.compute.series import Series, Unit
from hone.core.errors import CheckpointError, DataError
from hone.evals import pass_at_k, worst_at_k
from hone.training.folder import RunFolder
from hone.training.readings import read_readings, spent
from hone.training.same import deciding

SWEEP = "sweep.json"
METRIC = re.compile(r"(pass|worst)@([1-9][0-9]*)")


@dataclass(frozen=True)
class RunSeries:
    """The series of the run in `folder`."""

    folder: Path
    series: Series


def stale(recipe: Mapping[str, Any], steps: int, size: int | None) -> str | None:
    """Why the pass rates of `steps` steps are not unbiased readings of fresh problems; None if they are.

    `recipe` is a dumped one, `size` the training problems of its task (None: without end).
    """
    name = (recipe["curriculum"] or {}).get("name")
    if name != "uniform":
        return f"`curriculum: {name}` decides by what came out how many rollouts a problem gets"
    if size is not None and steps * recipe["problems_per_step"] > size:
        return f"its task has {size:,} training problems, and the run sees them more than once"
    return None


def read_series(
    folder: Path,
    unit: Unit = "rollouts",
    metric: str = "pass@1",
    *,
    cell: str = "",
    price_per_hour: float | None = None,
) -> Series:
    """The series of the run in `folder`, finished or not. `metric` is `pass@k` or `worst@k`.

    A step's groups are those of fresh problems before its update: its reading is the mean over groups of the unbiased
    estimate, at the compute spent before the step. Groups with fewer than k judged rollouts are left out. Where the
    problems are not fresh (see `stale`), the readings are those of eval.jsonl, each at the compute spent until then. An
    hour costs `price_per_hour`, or what the run's recipe says. Raises CheckpointError for a folder that holds no run,
    DataError for one that cannot be read this way.
    """
    kind, k = _parsed(metric)
    recipe = RunFolder(folder).read_recipe()
    if price_per_hour is None:
        price_per_hour = recipe.get("price_per_hour")
    lines = RunFolder(folder).read("metrics.jsonl")
    reason = stale(recipe, int(lines[-1]["step"]) if lines else 0, _size(folder))
    if reason is not None:
        compute, reward, problems = _evaluated(folder, lines, unit, metric, price_per_hour, reason)
    else:
        if k > recipe["num_generations"]:
            raise DataError(
                f"{metric} cannot be read from the {recipe['num_generations']} rollouts that {folder} gives a problem.",
                "Choose a `--metric` with a smaller k, or leave the run out.",
            )
        found = read_readings(folder, unit, price_per_hour)
        estimate = pass_at_k if kind == "pass" else worst_at_k
        enough = [judged >= k for judged in found.judged]
        some = [i for i, mask in enumerate(enough) if mask.any()]
        if not some:
            raise DataError(f"{folder} has no group with {k} judged rollouts.", "Leave the run out.")
        compute = found.before[some]
        reward = np.array(
            [np.mean(estimate(found.judged[i][enough[i]], found.correct[i][enough[i]], k)) for i in some]
        )
        problems = np.array([int(enough[i].sum()) for i in some])
    return Series(
        cell=cell, seed=int(recipe["seed"]), num_generations=int(recipe["num_generations"]),
        problems_per_step=int(recipe["problems_per_step"]), learning_rate=float(recipe["learning_rate"]),
        unit=unit, metric=metric, compute=compute, reward=reward, problems=problems,
    )  # fmt: skip


def read_runs(
    folders: Sequence[Path],
    unit: Unit = "rollouts",
    metric: str = "pass@1",
    *,
    price_per_hour: float | None = None,
) -> list[RunSeries]:
    """The series of run folders and of all runs of sweep folders, each run once.

    Runs of one recipe but for the seed have one `cell`: the name that their sweep gave it, or else the keys in which
    the recipes differ. Raises what `read_series` does, and CheckpointError for a folder that is neither.
    """
    named: dict[Path, str] = {}
    loose: list[Path] = []
    sweeps = [folder for folder in folders if (folder / SWEEP).is_file()]
    for folder in folders:
        if folder not in sweeps:
            loose.append(folder)
            continue
        head = f"{folder.resolve().name}: " if len(folders) > 1 else ""
        for row in _rows(folder):
            named.setdefault((folder / row["folder"]).resolve(), f"{head}{row['cell']}")
    for folder, cell in _names(loose).items():
        named.setdefault(folder.resolve(), cell)
    return [
        RunSeries(path, read_series(path, unit, metric, cell=cell, price_per_hour=price_per_hour))
        for path, cell in named.items()
    ]


def _rows(folder: Path) -> list[dict[str, Any]]:
    """The runs of a sweep. Raises CheckpointError if none has ended."""
    rows: list[dict[str, Any]] = json.loads((folder / SWEEP).read_text(encoding="utf-8"))["runs"]
    if not rows:
        raise CheckpointError(f"No run of the sweep in {folder} has ended.", "Go on with `hone sweep`.")
    return rows


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """A name for the recipe of every run folder, without its seed: the keys in which the recipes differ."""
    plans = {folder: deciding(RunFolder(folder).read_recipe()) | {"seed": None} for folder in folders}
    first = next(iter(plans.values()), {})
    keys = [key for key in first if any(plan.get(key) != first[key] for plan in plans.values())]
    whole = str(first.get("method", ""))
    return {
        folder: ",".join(f"{key}={_short(plan.get(key))}" for key in keys) or whole
        for folder, plan in plans.items()
    }


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _parsed(metric: str) -> tuple[str, int]:
    found = METRIC.fullmatch(metric)
    if found is None:
        raise DataError(
            f"`{metric}` is not a metric of a series.", "Choose pass@1, pass@4, worst@4 or the like."
        )
    return found[1], int(found[2])


def _size(folder: Path) -> int | None:
    """Training problems of a run's task, as its data.json says."""
    path = folder / "data.json"
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no data.json, which says whether its problems are fresh.",
            "Name a run of this version.",
        )
    size: int | None = json.loads(path.read_text(encoding="utf-8"))["splits"]["train"]
    return size


def _evaluated(
    folder: Path,
    lines: Sequence[Mapping[str, Any]],
    unit: Unit,
    metric: str,
    price_per_hour: float | None,
    reason: str,
) -> tuple[Any, Any, Any]:
    """Compute, reward and problems of the evaluations of a run."""
    evals = [line for line in RunFolder(folder).read("eval.jsonl") if metric in line]
    if len(evals) < 2 or not lines:
        raise DataError(
            f"The pass rates of {folder} during training are not those of fresh problems ({reason}), and it has "
            f"{len(evals)} evaluations with {metric}.",
            "Set `eval.every` when such runs are made, and `eval.samples_during` to at least k.",
        )
    totals = {0: 0.0} | dict(
        zip((line["step"] for line in lines), spent(lines, unit, folder, price_per_hour))
    )
    return (
        np.array([totals[line["step"]] for line in evals]),
        np.array([line[metric]["value"] for line in evals]),
        np.array([line["problems"] for line in evals]),
    )
