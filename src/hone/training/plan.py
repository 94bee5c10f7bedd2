"""Make a plan: measure what it needs, ask the planner, and say it as `hone plan --json` prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from hone.compute.difficulty import classify
from hone.compute.learning_rate import Anchor
from hone.compute.measurement import Measurement
from hone.compute.plan import plan
from hone.compute.planner import Plan
from hone.compute.prior import Target
from hone.compute.reward_curve import MAX_EXTRAPOLATION
from hone.compute.rollout_cost import Budget
from hone.compute.sweep_plan import series_unit
from hone.core.recipe import Recipe
from hone.training.base import measure_base
from hone.training.folder import RunFolder
from hone.training.planning import SETTLED
from hone.training.progress import Progress
from hone.training.series import read_runs

REPLACED = ("max_sampled_tokens",)  # keys that would end a planned run elsewhere than its budget does
ALIKE = ("task", "model", "method", "credit", "objective", "max_completion_length", "temperature")
OWN = ("kl", "entropy_coef")  # keys that a plan sets only where the recipe does not


def plan_by_prior(
    recipe: Recipe,
    mapping: Mapping[str, Any],
    budget: Budget,
    *,
    target: str,
    batch: int | None,
    problems: int,
    samples: int,
    cache: Path | None,
    progress: Progress | None,
    reward: Callable[..., Any] | None,
) -> dict[str, Any]:
    """The plan of `recipe` from a measured base model as JSON values; `mapping` is the recipe as its user wrote it."""
    base = measure_base(recipe, problems, samples, cache=cache, progress=progress, reward=reward)
    anchor = Anchor(recipe.learning_rate, recipe.num_generations * recipe.problems_per_step)
    kept = [key for key in OWN if getattr(recipe, key) or key in mapping]
    found = plan(budget, base=base, anchor=anchor, target=target, batch=batch, kept=kept)
    return described(found, budget, target) | about(base, budget, found) | {"recipe": planned(mapping, found)}


def plan_by_sweep(
    recipe: Recipe,
    mapping: Mapping[str, Any],
    budget: Budget,
    folder: Path,
    *,
    target: str,
    batch: int | None,
    max_extrapolation: float | None,
) -> dict[str, Any]:
    """The plan of `recipe` from the runs of a sweep as JSON values; `mapping` is the recipe as its user wrote it."""
    unit, _ = series_unit(budget)
    metric = Target.of(target).metric
    runs = read_runs([folder], unit, metric, price_per_hour=budget.price_per_hour)
    series = [run.series for run in runs]
    in_rollouts = series if unit == "rollouts" else [run.series for run in read_runs([folder], metric=metric)]
    most = MAX_EXTRAPOLATION if max_extrapolation is None else max_extrapolation
    found = plan(
        budget, sweep=series, in_rollouts=in_rollouts, target=target, batch=batch, max_extrapolation=most
    )
    found = replace(found, warnings=(*found.warnings, *_other(recipe, runs[0].folder)))
    swept = {
        "folder": str(folder),
        "unit": unit,
        "frontier": [asdict(row) for row in found.frontier],
    }
    return described(found, budget, target) | {"sweep": swept, "recipe": planned(mapping, found)}


def stored_recipe(sweep: Path) -> dict[str, Any]:
    """The recipe of a sweep's runs as one of them stored it, without its seed and what memory settled for it."""
    stored = RunFolder(read_runs([sweep])[0].folder).read_recipe()
    return {k: v for k, v in stored.items() if v is not None and k not in (*SETTLED, "seed")}


def _other(recipe: Recipe, folder: Path) -> list[str]:
    """What differs between the recipe and the runs of the sweep, of what decides a reward curve."""
    stored, mine = RunFolder(folder).read_recipe(), recipe.dump()
    differ = [f"`{key}`" for key in ALIKE if stored.get(key) != mine[key]]
    if not differ:
        return []
    return [
        f"The sweep's runs have another {', '.join(differ)} than this recipe: their curves are not its own."
    ]


def described(found: Plan, budget: Budget, target: str) -> dict[str, Any]:
    """The plan's own values and what was asked."""
    asked: dict[str, Any] = {"amount": budget.amount, "unit": budget.unit}
    if budget.price_per_hour is not None:
        asked["price_per_hour"] = budget.price_per_hour
    return found.as_dict() | {"target": target, "budget": asked}


def about(base: Measurement, budget: Budget, found: Plan) -> dict[str, Any]:
    """What was measured of the base model: its difficulty class and the cost of a rollout of the plan."""
    difficulty, cost, n = classify(np.asarray(base.rates), base.samples), base.cost, found.num_generations
    return {
        "difficulty": {
            "name": difficulty.name,
            "shares": difficulty.shares,
            "pass@1": dict(base.pass_at_1),
            "problems": len(base.rates),
            "samples": base.samples,
            "histogram": base.histogram(),
        },
        "cost": {
            "prompt_tokens": cost.prompt_tokens,
            "completion_tokens": cost.completion_tokens,
            "truncated": base.truncated,
            "seconds": cost.seconds,
            "flops": cost.flops(n),
            "budget_each": cost.each(budget, n),
        },
    }


def planned(mapping: Mapping[str, Any], found: Plan) -> dict[str, Any]:
    """The recipe as written, with the plan's numbers and keys: what `hone train` takes."""
    kept = {key: value for key, value in mapping.items() if key not in REPLACED}
    numbers = {
        "num_generations": found.num_generations,
        "problems_per_step": found.problems_per_step,
        "steps": found.steps,
        "learning_rate": found.learning_rate,
    }
    return {**kept, **numbers, **found.keys}
