"""The Python surface: task, train, evaluate, compare, sweep."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone.catalog import build_method
from hone.combinations import inert
from hone.core.errors import CheckpointError, RecipeError
from hone.core.problem import Task
from hone.core.recipe import Recipe
from hone.recipes.load import resolve

if TYPE_CHECKING:
    from hone.training.cells import Rule
    from hone.training.progress import Progress
    from hone.training.run import Run
    from hone.training.sweep import SweepPlan

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

    arms = {method: _one_phase(recipe, {**overrides, "method": method}) for method in methods}
    name = _name(recipe)
    return compare_methods(arms, seeds, Path(out), name=name, workers=workers, baseline=baseline, tell=tell)


def sweep(
    recipe: RecipeSource = "demo",
    grid: Mapping[str, Sequence[Any]] | None = None,
    *,
    out: str | Path,
    runs: Sequence[Mapping[str, Any]] | None = None,
    seeds: int = 1,
    rollouts: int | None = None,
    sampled_tokens: int | None = None,
    learning_rate_rule: Rule | None = None,
    workers: int = 2,
    stop_dominated: bool = False,
    reuse: Sequence[str | Path] = (),
    tell: Callable[[str], None] = lambda text: None,
    **overrides: Any,
) -> dict[str, Any]:
    """Run every cell of `grid` (key -> values), or of `runs` (a list of keys), with several seeds in the folder `out`.

    Arguments of the plan are those of `plan_sweep`, of the runs those of `training.sweep.run_sweep`. Returns the
    content of `out`/sweep.json: `cells`, `runs`, `table` (means over seeds), `failures` and the rest of the plan.
    """
    from hone.training.sweep import run_sweep

    plan = plan_sweep(
        recipe, grid, overrides, runs=runs, seeds=seeds, rollouts=rollouts, sampled_tokens=sampled_tokens,
        learning_rate_rule=learning_rate_rule,
    )  # fmt: skip
    folders = [Path(folder) for folder in reuse]
    return run_sweep(
        plan, Path(out), workers=workers, stop_dominated=stop_dominated, reuse=folders, tell=tell
    )


def plan_sweep(
    recipe: RecipeSource = "demo",
    grid: Mapping[str, Sequence[Any]] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    runs: Sequence[Mapping[str, Any]] | None = None,
    seeds: int = 1,
    rollouts: int | None = None,
    sampled_tokens: int | None = None,
    learning_rate_rule: Rule | None = None,
) -> SweepPlan:
    """The cells of a sweep, resolved, without running any.

    `grid` may have any key of a recipe, dotted ones too; `runs` is a list of mappings of keys, one a cell. With
    `rollouts` or `sampled_tokens` every cell has the steps that this budget pays for. `learning_rate_rule` is `sqrt`
    (eta(B) = eta sqrt(B / B_recipe), B the rollouts of a step) or `constant`; by default `sqrt` if cells set
    `num_generations` or `problems_per_step` and not the rate. Runs are evaluated at their end alone unless `overrides`
    say otherwise. Raises RecipeError for anything without meaning.
    """
    from hone.training.cells import Budget, check_cells, choose_rule, crossed, plan_cell
    from hone.training.sweep import SweepPlan

    if (grid is None) == (runs is None):
        raise RecipeError("A sweep takes either a grid or a list of runs.", "Give one of the two.")
    if rollouts is not None and sampled_tokens is not None:
        raise RecipeError("A sweep has one budget.", "Give `rollouts` or `sampled_tokens`.")
    chosen = dict(overrides or {})
    if "seed" in chosen:
        raise RecipeError("A sweep sets `seed` itself.", "Say how many seeds.")
    budget = Budget("rollouts", rollouts) if rollouts is not None else None
    budget = Budget("sampled_tokens", sampled_tokens) if sampled_tokens is not None else budget
    if budget is not None and budget.value < 1:
        raise RecipeError(f"The budget is {budget.value} {budget.unit}.", "It must be at least 1.")
    common = {"eval.every": 0, "eval.before": False, **chosen}
    keys = crossed(grid) if grid is not None else [dict(one) for one in runs or ()]
    rule = choose_rule(learning_rate_rule, keys)
    base = _one_phase(recipe, common)
    cells = [plan_cell(one, _one_phase(recipe, common | one), base, rule, budget) for one in keys]
    check_cells(cells)
    return SweepPlan(_name(recipe), base, tuple(cells), seeds, rule, budget)


def _one_phase(recipe: RecipeSource, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with its overrides. Raises RecipeError if it has several phases."""
    phases = resolve(recipe, overrides)
    if len(phases) > 1:
        raise RecipeError(f"The recipe has {len(phases)} phases.", "Take a recipe of one phase.")
    return phases[0]


def _name(recipe: RecipeSource) -> str:
    return "recipe" if isinstance(recipe, Mapping) else str(recipe)
