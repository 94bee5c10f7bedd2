"""Make a plan: measure what it needs, ask the planner, and say it as `hone plan --json` prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hone.compute.difficulty import classify
from hone.compute.measurement import Measurement
from hone.compute.planner import Anchor, Plan, plan_from_prior
from hone.compute.rollout_cost import Budget
from hone.core.recipe import Recipe
from hone.training.base import measure_base
from hone.training.progress import Progress

REPLACED = ("max_sampled_tokens",)  # keys that would end a planned run elsewhere than its budget does
OWN = ("kl", "entropy_coef")  # keys that a plan sets only where the recipe does not


def make_plan(
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
    """The plan of `recipe` for `budget` as JSON values; `mapping` is the recipe as its user wrote it."""
    base = measure_base(recipe, problems, samples, cache=cache, progress=progress, reward=reward)
    anchor = Anchor(recipe.learning_rate, recipe.num_generations * recipe.problems_per_step)
    kept = [key for key in OWN if getattr(recipe, key) or key in mapping]
    plan = plan_from_prior(budget, base, anchor, target, batch, kept)
    return described(plan, budget, target) | about(base, budget, plan) | {"recipe": planned(mapping, plan)}


def described(plan: Plan, budget: Budget, target: str) -> dict[str, Any]:
    """The plan's own values and what was asked."""
    asked: dict[str, Any] = {"amount": budget.amount, "unit": budget.unit}
    if budget.price_per_hour is not None:
        asked["price_per_hour"] = budget.price_per_hour
    return plan.as_dict() | {"target": target, "budget": asked}


def about(base: Measurement, budget: Budget, plan: Plan) -> dict[str, Any]:
    """What was measured of the base model: its difficulty class and the cost of a rollout of the plan."""
    difficulty, cost, n = classify(np.asarray(base.rates), base.samples), base.cost, plan.num_generations
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


def planned(mapping: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """The recipe as written, with the plan's numbers and keys: what `hone train` takes."""
    kept = {key: value for key, value in mapping.items() if key not in REPLACED}
    numbers = {
        "num_generations": plan.num_generations,
        "problems_per_step": plan.problems_per_step,
        "steps": plan.steps,
        "learning_rate": plan.learning_rate,
    }
    return {**kept, **numbers, **plan.keys}
