"""The Python surface: task, train, evaluate, compare."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone import recipes
from hone.core.errors import CheckpointError
from hone.core.problem import Task
from hone.recipes.load import resolve

if TYPE_CHECKING:
    from hone.training.progress import Progress
    from hone.training.run import Run

RecipeSource = str | Path | Mapping[str, Any]


def task(name: str, **options: Any) -> Task:
    """The task `name` (see `hone tasks`) with its options. Raises TaskError for what does not exist."""
    from hone.tasks import make

    return make(name, **options)


def train(
    recipe: RecipeSource = "demo",
    *,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **overrides: Any,
) -> Run:
    """Train `recipe` (a shipped name, a YAML file or a mapping) with keys overridden; returns its run.

    `out` is the run folder, by default a new one under `runs/`. Options of a nested key are given as mappings, or
    as dotted keys in a mapping: `train(**{"task.sizes": 7})`. Raises RecipeError before anything is computed.
    """
    from hone.training.run import execute

    phases = resolve(recipe, overrides)
    if resume and out is None:
        raise CheckpointError("A run to resume needs its folder.", "Pass `out`.")
    folder = Path(out) if out is not None else new_folder(recipe)
    return execute(phases, folder, progress, resume)[0]


def new_folder(recipe: RecipeSource, under: Path = Path("runs")) -> Path:
    """A run folder that does not exist yet, named after the recipe and the time."""
    stem = "run" if isinstance(recipe, Mapping) else Path(str(recipe)).stem
    name = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder, number = under / name, 1
    while folder.exists():
        number += 1
        folder = under / f"{name}-{number}"
    return folder


def evaluate(
    model: str | Path,
    task: str | Mapping[str, Any],
    *,
    k: Sequence[int] = (1, 8, 64),
    problems: int = 100,
    samples: int | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """pass@k, worst@k and maj@k of `model` (a run folder, a model folder or a name) on the held-out split of `task`.

    `settings` are `temperature`, `top_p`, `top_k`, `min_p`, `max_completion_length`, `stop`, `seed`, `engine`,
    `device`, `dtype`, `split`, `reward`. Returns the object that `hone eval --json` prints.
    """
    from hone.training.standalone import evaluate_model

    return evaluate_model(model, task, k=k, problems=problems, samples=samples, **settings)


def compare(
    recipe: RecipeSource, methods: Sequence[str], seeds: int, out: str | Path, **overrides: Any
) -> dict[str, Any]:
    """Run several methods with several seeds under one budget of sampled tokens; returns compare.json's content."""
    from hone.training.compare import compare_methods

    return compare_methods(recipes.load.read(recipe), list(methods), seeds, Path(out), overrides)
