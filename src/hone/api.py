"""The Python surface: task, train, evaluate, compare, plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hone.catalog import build_method
from hone.combinations import inert
from hone.compute.prior import Target
from hone.compute.rollout_cost import Budget, BudgetUnit
from hone.core.errors import CheckpointError, RecipeError
from hone.core.problem import Task
from hone.recipes.load import merge, read, resolve

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

    overrides, function = _callable_reward(recipe, overrides)
    phases = resolve(recipe, overrides)
    if resume and out is None:
        raise CheckpointError("A run to resume needs its folder.", "Pass `out`.")
    folder = Path(out) if out is not None else new_folder(recipe)
    if progress is not None:
        for phase in phases:
            for text in inert(phase, build_method(phase)):
                progress.note(text)
    return execute(phases, folder, progress, resume, function)[0]


def _callable_reward(
    recipe: RecipeSource, overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], Callable[..., Any] | None]:
    """The overrides with a name in place of a callable reward, which a recipe cannot hold, and the callable."""
    reward = overrides.get("reward", recipe.get("reward") if isinstance(recipe, Mapping) else None)
    if not callable(reward):
        return dict(overrides), None
    name = getattr(reward, "__name__", type(reward).__name__)
    return {**overrides, "reward": f"callable:{name}"}, reward


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


def plan(
    recipe: RecipeSource = "demo",
    *,
    budget: float,
    unit: BudgetUnit = "rollouts",
    sweep: str | Path | None = None,
    target: str = "pass@1",
    batch: int | None = None,
    problems: int = 64,
    samples: int = 16,
    price_per_hour: float | None = None,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Plan `recipe` (as for `train`) for a budget: its groups, problems a step, steps and learning rate, and why.

    `unit` is rollouts, sampled_tokens, tokens (prompts, sampled and trained ones), flops, hours, or price at
    `price_per_hour`. The base model is measured on `problems` training problems with `samples` answers each, which
    `cache` keeps in a JSON file, and the published constants serve as a prior. `target` is pass@1, best@k or worst@k; `batch` fixes the rollouts of a step.

    Returns the object that `hone plan --json` prints. Its `recipe` is what `train` takes. Raises RecipeError for a
    recipe or a budget that cannot be planned.
    """
    from hone.training.plan import make_plan

    Target.of(target)  # what is wrong with it is said before anything is measured
    spend = Budget(budget, unit, price_per_hour)
    overrides, function = _callable_reward(recipe, overrides)
    phases = resolve(recipe, overrides)
    if len(phases) > 1:
        raise RecipeError(f"The recipe has {len(phases)} phases.", "Plan a recipe of one phase.")
    mapping = merge(read(recipe), overrides)
    return make_plan(
        phases[0], mapping, spend, target=target, batch=batch, problems=problems, samples=samples,
        cache=None if cache is None else Path(cache), progress=progress, reward=function,
    )  # fmt: skip
