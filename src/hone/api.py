"""The Python surface: task, train, evaluate, compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone.catalog import build_method
from hone.combinations import inert
from hone.core.errors import CheckpointError, RecipeError
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
    as dotted keys in a mapping: `train(**{"task.sizes": 7})`. `reward` may be a callable, which then runs in this
    process and cannot be killed; `reward="module.py:function"` runs in workers. Raises RecipeError before anything is
    computed.
    """
    from hone.training.run import execute

    reward = overrides.get("reward", recipe.get("reward") if isinstance(recipe, Mapping) else None)
    function = reward if callable(reward) else None
    if function is not None:  # a recipe holds text: the name stands for the callable
        overrides["reward"] = f"callable:{getattr(function, '__name__', type(function).__name__)}"
    phases = resolve(recipe, overrides)
    if resume and out is None:
        raise CheckpointError("A run to resume needs its folder.", "Pass `out`.")
    folder = Path(out) if out is not None else new_folder(recipe)
    if progress is not None:
        for phase in phases:
            for text in inert(phase, build_method(phase)):
                progress.note(text)
    return execute(phases, folder, progress, resume, function)[0]


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
    `device`, `dtype`, `split`, `trust_remote_code`, `reward` (a name, `module.py:function`, or a callable). Returns the
    object that `hone eval --json` prints.
    """
    from hone.training.standalone import evaluate_model

    return evaluate_model(model, task, k=k, problems=problems, samples=samples, **settings)


def compare(
    recipe: RecipeSource,
    methods: Sequence[str],
    seeds: int,
    out: str | Path,
    *,
    workers: int = 2,
    baseline: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
    **overrides: Any,
) -> dict[str, Any]:
    """Run several methods with several seeds under one budget of sampled tokens; returns compare.json's content.

    `workers` processes of one thread at a time; with `baseline` only differences to that method are stated; `tell`
    hears what happens. `failures` of the result maps an arm that failed to its last lines; the others count.
    """
    from hone.training.compare import compare_methods

    arms = {}
    for method in methods:
        phases = resolve(recipe, {**overrides, "method": method})
        if len(phases) > 1:
            raise RecipeError(f"The recipe has {len(phases)} phases.", "Compare recipes of one phase.")
        arms[method] = phases[0]
    name = "recipe" if isinstance(recipe, Mapping) else str(recipe)
    return compare_methods(arms, seeds, Path(out), name=name, workers=workers, baseline=baseline, tell=tell)
