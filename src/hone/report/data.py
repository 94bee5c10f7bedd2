"""Reads a run folder: tolerates what is missing, names what is broken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hone.core.errors import CheckpointError
from hone.report.words import shorten

Row = Mapping[str, Any]
Numbers = npt.NDArray[np.float64]
FILES = ("recipe.yaml", "metrics.jsonl", "eval.jsonl", "samples.jsonl")
UNITS = ("step", "rollouts", "sampled_tokens", "flops", "seconds", "price")


@dataclass(frozen=True)
class Estimate:
    """A share with its 95% interval; `low` and `high` are NaN where none was given."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class RunData:
    """What a run folder holds. `metrics` are ordered by step; `notes` say what was missing or torn."""

    path: Path
    name: str
    recipe: Mapping[str, Any]
    summary: Mapping[str, Any]
    metrics: tuple[Row, ...]
    evals: tuple[Row, ...]
    samples: tuple[Row, ...]
    notes: tuple[str, ...]


def read_run(path: Path) -> RunData:
    """Read the run folder at `path`. CheckpointError if it is no run folder or a file in it is broken."""
    path = Path(path)
    if not path.is_dir():
        raise CheckpointError(f"`{path}` is not a folder.", "Give the folder that `hone train --out` wrote.")
    if not any((path / name).exists() for name in FILES[:3]):
        raise CheckpointError(
            f"`{path}` is not a run folder: it has none of {', '.join(FILES[:3])}.",
            "Give the folder that `hone train --out` wrote.",
        )
    notes = [f"The folder has no {name}." for name in FILES[:3] if not (path / name).exists()]
    tables: dict[str, tuple[Row, ...]] = {}
    for name in FILES[1:]:
        tables[name], torn = read_jsonl(path / name)
        if torn:
            notes.append(
                f"The last line of {name} is torn (the writer was stopped in the middle); it is left out."
            )
    if (path / "data.json").exists():
        notes += _left_out(read_object(path / "data.json"))
    metrics = {number(row, "step"): row for row in tables["metrics.jsonl"]}
    if any(math.isnan(step) for step in metrics):
        notes.append("Lines of metrics.jsonl without a step are left out.")
    evals = {
        (str(row.get("task")), str(row.get("split")), number(row, "step")): row
        for row in tables["eval.jsonl"]
    }
    return RunData(
        path=path,
        name=path.resolve().name,
        recipe=_read_recipe(path / "recipe.yaml"),
        summary=read_object(path / "summary.json") if (path / "summary.json").exists() else {},
        metrics=tuple(metrics[step] for step in sorted(s for s in metrics if math.isfinite(s))),
        evals=tuple(sorted(evals.values(), key=lambda row: number(row, "step", 0.0))),
        samples=tables["samples.jsonl"],
        notes=tuple(notes),
    )


def _left_out(data: Row) -> list[str]:
    """What data.json says of rows that the run went on without."""
    rows = data.get("rows")
    if not isinstance(rows, Mapping) or not number(rows, "bad", 0):
        return []
    kinds = rows.get("kinds")
    found = kinds.items() if isinstance(kinds, Mapping) else ()
    words = ", ".join(
        f"{number(v, 'count', 0):,.0f} {shorten(kind, 60)[0]}" for kind, v in found if isinstance(v, Mapping)
    )
    return [
        f"Of {number(rows, 'read', 0):,.0f} rows of the data {number(rows, 'bad', 0):,.0f} were left out: {words}."
    ]


def read_jsonl(path: Path) -> tuple[tuple[Row, ...], bool]:
    """The objects of a JSONL file, and whether its last line was torn off. A missing file is empty.

    CheckpointError names any other line that is not a JSON object.
    """
    if not path.exists():
        return (), False
    text = path.read_bytes().decode("utf-8", "replace")
    lines = text.split("\n")
    rows: list[Row] = []
    for at, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if at == len(lines):  # only a line without its newline can be torn
                return tuple(rows), True
            raise CheckpointError(
                f"`{path}` line {at} is not JSON: {error}.", "Restore the line or delete it."
            ) from None
        if not isinstance(row, dict):
            raise CheckpointError(
                f"`{path}` line {at} is not a JSON object.", "Restore the line or delete it."
            )
        rows.append(row)
    return tuple(rows), False


def read_object(path: Path) -> Mapping[str, Any]:
    """The JSON object in `path`; CheckpointError if the file is missing or holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"`{path}` cannot be read: {error.strerror}.", "Give a folder that holds it."
        ) from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"`{path}` is not JSON: {error}.", "Restore the file.") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"`{path}` does not hold a JSON object.", "Restore the file.")
    return value


def listed(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def objects(value: Any) -> tuple[Row, ...]:
    """The JSON objects in a list; none if it is no list."""
    return tuple(row for row in listed(value) if isinstance(row, Mapping))


def number(row: Row, key: str, default: float = math.nan) -> float:
    """`row[key]` as a finite float; `default` if it is missing, null, not a number or not finite."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        return default
    return float(value)


def column(rows: Sequence[Row], key: str) -> Numbers:
    """`key` of every row, NaN where it is missing."""
    return np.array([number(row, key) for row in rows], dtype=np.float64)


def estimate(row: Row | None, key: str) -> Estimate | None:
    """The estimate at `row[key]`, which is `{"value", "low", "high"}` or a bare number; None if there is none."""
    if row is None:
        return None
    value = row.get(key)
    if isinstance(value, Mapping):
        found = Estimate(number(value, "value"), number(value, "low"), number(value, "high"))
    else:
        found = Estimate(number(row, key))
    return found if math.isfinite(found.value) else None


def ks(row: Row | None, family: str = "pass") -> list[int]:
    """The k for which `row` has an estimate `family@k`, ascending."""
    names = [] if row is None else [key.partition("@")[2] for key in row if key.startswith(f"{family}@")]
    return sorted(int(k) for k in names if k.isdecimal() and estimate(row, f"{family}@{k}") is not None)


def evals_of(run: RunData) -> tuple[Row, ...]:
    """The evaluations the page is about, by step: those of the first held-out task (of the first task, if none is)."""
    held_out = [row for row in run.evals if row.get("split") != "train"] or list(run.evals)
    return tuple(row for row in held_out if row.get("task") == held_out[0].get("task"))


def before_after(run: RunData) -> tuple[Row | None, Row | None]:
    """The evaluation at step 0 and the last later one, None where a run has not got there."""
    rows = evals_of(run)
    before = rows[0] if rows and number(rows[0], "step") == 0 else None
    after = rows[-1] if rows and number(rows[-1], "step", 0.0) > 0 else None
    return before, after


def running(run: RunData, unit: str) -> Numbers:
    """For each line of the metrics, what had been spent (in `unit`) by its end; NaN where it is not known.

    Seconds are those of steps, without evaluations; their price is known where the recipe has a `price_per_hour`.
    """
    if unit not in ("seconds", "price"):
        return column(run.metrics, unit)
    spent = np.cumsum(column(run.metrics, "time/step"))
    return spent if unit == "seconds" else spent * number(run.recipe, "price_per_hour") / 3600


def spent_before(run: RunData, unit: str) -> Numbers:
    """For each line of the metrics, what had been spent (in `unit`) on the policy that its rollouts were sampled from.

    A step samples first and updates afterwards, so this is the line before's running total, 0 for the first.
    """
    total = running(run, unit)
    return np.concatenate([[0.0], total[:-1]]) if len(total) else total


def spent_at(run: RunData, evals: Sequence[Row], unit: str) -> Numbers:
    """For each evaluation, what training had spent (in `unit`) by its step."""
    if unit == "step":
        return column(evals, "step")
    totals = {0.0: 0.0} | dict(zip(column(run.metrics, "step").tolist(), running(run, unit).tolist()))
    return np.array([totals.get(number(row, "step"), math.nan) for row in evals], dtype=np.float64)


def total(run: RunData, key: str) -> float:
    """The run's total of a running count: from the summary, else from the last line of the metrics."""
    return number(run.summary, key, number(run.metrics[-1], key) if run.metrics else math.nan)


def seconds(run: RunData) -> float:
    """Wall time: from the summary, else the sum of the steps' times."""
    steps = column(run.metrics, "time/step")
    known = float(np.nansum(steps)) if np.isfinite(steps).any() else math.nan
    return number(run.summary, "seconds", known)


def method_of(run: RunData) -> str:
    """The recipe's method by name: a mapping's `id` or `name` where it is written out."""
    method = run.recipe.get("method", "")
    if isinstance(method, Mapping):
        method = method.get("id") or method.get("name") or ""
    return str(method)


def _read_recipe(path: Path) -> Mapping[str, Any]:
    import yaml

    if not path.exists():
        return {}
    try:
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(f"`{path}` is not YAML: {first}.", "Restore the resolved recipe.") from None
    if not isinstance(recipe, dict):
        raise CheckpointError(f"`{path}` does not hold a mapping of keys.", "Restore the resolved recipe.")
    return recipe
