"""Amounts without a meaning: rates that decay to nothing too early, or beyond it, and steps that no memory holds."""

from __future__ import annotations

from hone.core.errors import RecipeError
from hone.core.method import Method
from hone.core.recipe import Recipe

MOST_TOKENS = 1 << 31  # sampled in one step, or in one evaluation: far beyond any run that was published


def _updates(recipe: Recipe) -> int:
    return recipe.steps * recipe.num_iterations * recipe.minibatches


def decay_that_ends_early(recipe: Recipe, method: Method) -> RecipeError | None:
    """Updates after a schedule's end have the rate zero. A budget of tokens may end a run before them."""
    if recipe.schedule == "constant" or recipe.schedule_steps is None:
        return None
    if recipe.schedule_steps <= recipe.warmup_steps:
        return RecipeError(
            f"`schedule_steps` is {recipe.schedule_steps:,}, and `warmup_steps` {recipe.warmup_steps:,} of them are "
            "warm-up: the rate would fall from its peak to 0 at once.",
            "Lower `warmup_steps` or raise `schedule_steps`.",
        )
    if recipe.schedule_steps >= _updates(recipe) or recipe.max_sampled_tokens is not None:
        return None
    return RecipeError(
        f"`schedule: {recipe.schedule}` reaches 0 after `schedule_steps` {recipe.schedule_steps:,} of "
        f"{_updates(recipe):,} updates: the rest would train nothing.",
        "Raise `schedule_steps`, or lower `steps`.",
    )


def decay_beyond_zero(recipe: Recipe, method: Method) -> RecipeError | None:
    """An update multiplies weights by 1 − rate × decay."""
    if recipe.learning_rate * recipe.weight_decay < 1:
        return None
    return RecipeError(
        f"`learning_rate` {recipe.learning_rate:g} × `weight_decay` {recipe.weight_decay:g} is 1 or more: every "
        "update would wipe the weights out, or turn them round.",
        "Lower `weight_decay`.",
    )


def beyond_memory(recipe: Recipe, method: Method) -> RecipeError | None:
    """More tokens at once than any machine holds."""
    each = recipe.max_completion_length
    sizes = {
        "a step": ("num_generations", "problems_per_step"),
        "an evaluation": ("eval.samples", "eval.problems"),
    }
    counts = {
        "a step": recipe.num_generations * recipe.problems_per_step,
        "an evaluation": recipe.eval.samples * recipe.eval.problems,
    }
    for whole, count in counts.items():
        if count * each > MOST_TOKENS:
            return RecipeError(
                f"{whole.capitalize()} would sample up to {count:,} × {each:,} tokens, more than {MOST_TOKENS:,}.",
                f"Lower {', '.join(f'`{key}`' for key in (*sizes[whole], 'max_completion_length'))}.",
            )
    return None


CHECKS = (decay_that_ends_early, decay_beyond_zero, beyond_memory)
