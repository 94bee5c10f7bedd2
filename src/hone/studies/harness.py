"""What a study is, and how its cells are run: resumable, in processes of one thread, with verdicts computed by code."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from importlib import resources
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hone.core.errors import DataError, RecipeError, nearest
from hone.lab.claims import Claim, paired, verdict
from hone.lab.study import commit_of

Result = Mapping[str, Any]  # JSON values
Results = Mapping[str, Mapping[int, Result]]  # by the name of the arm, then the seed
LEAST_SEEDS = {"tabular": 8, "micro": 8, "sprout": 3}


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: what `run` is given. It takes at most ten minutes."""

    name: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What it is called in the results file."""
        return f"{self.name}/{self.seed}"


@dataclass(frozen=True)
class Study:
    """Claims with their statistics, margins and directions, and the cells that decide them.

    `cells(short)` lists what is run; the short form takes seconds and decides nothing. `run` is a pure function of its
    cell. `statistics` gives, for each claim, one value a seed (paired: both arms of a comparison have the seed); a
    claim that it leaves out has not been tested. `curves` are figures. `sources` are the files whose content makes old
    results void.
    """

    id: str
    method: str
    title: str
    scale: Literal["tabular", "micro", "sprout"]
    budget: str
    claims: tuple[Claim, ...]
    cells: Callable[[bool], list[Cell]]
    run: Callable[[Cell], Result]
    statistics: Callable[[Results], Mapping[str, np.ndarray]]
    sources: tuple[str, ...]
    curves: Callable[[Results], list[dict[str, Any]]] | None = None
    gpu: bool = False  # whether a CPU would take days; it is then run where it is named, or on a GPU

    def digest(self, cell: Cell) -> str:
        """A hash of what the study's files say (code without comments and layout) and of the cell's settings."""
        parts = [_said(Path(source)) for source in self.sources]
        parts.append(json.dumps([cell.name, cell.seed, dict(cell.settings)], sort_keys=True))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _said(source: Path) -> str:
    """The text of a file that is no Python, such as a recipe; the code of one that is."""
    text = source.read_text(encoding="utf-8")
    return ast.unparse(ast.parse(text)) if source.suffix == ".py" else text


def ids() -> list[str]:
    """Studies that ship."""
    found = [entry.name for entry in resources.files("hone.studies").iterdir()]
    modules = [name.removesuffix(".py") for name in found if not name.startswith("_")]
    return sorted(
        name for name in modules if hasattr(importlib.import_module(f"hone.studies.{name}"), "STUDY")
    )


def load(study: str) -> Study:
    """The study called `study`. Raises RecipeError with the nearest for an unknown one."""
    if study not in ids():
        raise RecipeError(f"There is no study `{study}`.", nearest(study, ids()))
    found: Study = importlib.import_module(f"hone.studies.{study}").STUDY
    return found


def run_study(
    study: Study,
    out: Path,
    *,
    short: bool = False,
    workers: int = 1,
    only: str = "",
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run the cells that `out` lacks (those with `only` in their keys), and write it after each; returns its content.

    A cell that fails is told, left out, and tried again next time.
    """
    cells = study.cells(short)
    kept = {key: each for key, each in _read(out).items() if each.get("digest")}
    stored = {c.key: kept[c.key] for c in cells if kept.get(c.key, {}).get("digest") == study.digest(c)}
    missing = [c for c in cells if c.key not in stored and only in c.key]
    tell(f"{study.id}: {len(missing)} of {len(cells)} cells to run")
    began = time.monotonic()
    for done, (cell, result, seconds) in enumerate(_results(study, missing, workers), start=1):
        left = (time.monotonic() - began) / done * (len(missing) - done)
        ending = f"{done} of {len(missing)}, about {left / 60:.1f} min left"
        if isinstance(result, Exception):
            tell(f"{study.id} {cell.key}: FAILED: {type(result).__name__}: {result} ({ending})")
            continue
        stored[cell.key] = {
            "digest": study.digest(cell),
            "commit": commit_of(Path(__file__).parents[1]),
            "seconds": round(seconds, 1),
            "result": _short(result),
        }
        tell(f"{study.id} {cell.key}: {seconds:.0f} s ({ending})")
        _write(out, content(study, cells, stored, short))
    whole = content(study, cells, stored, short)
    _write(out, whole)
    return whole


def _results(study: Study, cells: Sequence[Cell], workers: int) -> Any:
    """(cell, result or what was raised, seconds) as they come."""
    if workers <= 1:
        for cell in cells:
            yield (cell, *_timed(study.id, cell))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        futures = {pool.submit(_timed, study.id, cell): cell for cell in cells}
        for future in as_completed(futures):
            error = future.exception()
            yield (futures[future], *((error, 0.0) if error else future.result()))


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _timed(study: str, cell: Cell) -> tuple[Result | Exception, float]:
    """The result of a cell, or what it raised, and its seconds."""
    began = time.monotonic()
    try:
        return load(study).run(cell), time.monotonic() - began
    except Exception as error:
        return error, time.monotonic() - began


def content(study: Study, cells: Sequence[Cell], stored: Mapping[str, Any], short: bool) -> dict[str, Any]:
    """The results file: claims with verdicts, figures, and every cell."""
    results: dict[str, dict[int, Result]] = {}
    for cell in cells:
        if cell.key in stored:
            results.setdefault(cell.name, {})[cell.seed] = stored[cell.key]["result"]
    found = study.statistics(results) if results else {}
    return {
        "study": study.id,
        "method": study.method,
        "title": study.title,
        "scale": study.scale,
        "budget": study.budget,
        "short": short,
        "missing": [c.key for c in cells if c.key not in stored],
        "claims": {claim.id: judged(study, claim, found.get(claim.id)) for claim in study.claims},
        "curves": study.curves(results) if study.curves is not None and results else [],
        "cells": dict(sorted(stored.items())),
    }


def judged(study: Study, claim: Claim, values: np.ndarray | None) -> dict[str, Any]:
    """A claim with its mean over seeds, Student's 95% limits and the verdict; `not tested` without enough seeds."""
    words = {"statement": claim.statement, "statistic": claim.statistic}
    out: dict[str, Any] = {**words, "direction": claim.direction, "margin": claim.margin}
    values = None if values is None else np.asarray(values, dtype=float)
    if values is None or len(values) < LEAST_SEEDS[study.scale] or not np.isfinite(values).all():
        return {**out, "seeds": 0 if values is None else len(values), "verdict": "not tested"}
    found = paired(values)
    limits = {"value": float(found.value), "low": float(found.low), "high": float(found.high)}
    return {**out, "seeds": len(values), **limits, "verdict": verdict(claim, found)}


def _read(out: Path) -> dict[str, Any]:
    if not out.is_file():
        return {}
    try:
        return dict(json.loads(out.read_text(encoding="utf-8"))["cells"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{out} is no file of a study: {error}.", "Remove it, or name another.") from error


def _short(result: Result) -> Result:
    """The result with six digits of every number, which is more than any of them is sure of."""
    found: Result = json.loads(json.dumps(result), parse_float=lambda text: float(f"{float(text):.6g}"))
    return found


def _write(out: Path, whole: Mapping[str, Any]) -> None:
    """Whole or not at all, a line for each claim, curve and cell: one that is killed leaves that of its last cell."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    parts = []
    for key, value in whole.items():
        if isinstance(value, Mapping):
            rows = ",\n".join(f"  {line(name)}: {line(each)}" for name, each in value.items())
            parts.append(f" {line(key)}: {{\n{rows}\n }}")
        elif isinstance(value, list):
            rows = ",\n".join(f"  {line(each)}" for each in value)
            parts.append(f" {line(key)}: [\n{rows}\n ]")
        else:
            parts.append(f" {line(key)}: {line(value)}")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_suffix(".part")
    beside.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
    os.replace(beside, out)


def device() -> str:
    """Where studies that train models run: `HONE_STUDY_DEVICE`, or the CPU."""
    return os.environ.get("HONE_STUDY_DEVICE", "cpu")
