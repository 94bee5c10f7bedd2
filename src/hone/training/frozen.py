"""Frozen models beside the policy: they answer the same episodes, and no update reaches them."""

from __future__ import annotations

from dataclasses import dataclass

from hone.core.errors import RecipeError
from hone.core.recipe import Recipe
from hone.core.sampling import Engine
from hone.engines import choose
from hone.policies.loading import load_policy
from hone.policies.token_policy import TokenPolicy


@dataclass(frozen=True)
class Frozen:
    """A model and what samples from it; `note` is what a person should know of either."""

    policy: TokenPolicy
    engine: Engine
    note: str = ""


def load_frozen(model: str, recipe: Recipe, beside: Engine) -> Frozen:
    """The model called `model`, with an engine that meets the episodes of `beside` at the same barriers.

    Raises PolicyError if it cannot be loaded, and RecipeError with `one_step_off`, whose episodes run ahead of the
    step that its stages belong to.
    """
    if recipe.one_step_off:
        raise RecipeError(
            "`models` answer episodes, and `one_step_off` runs those ahead.", "Remove one of the two."
        )
    policy = load_policy(
        model,
        device=recipe.device,
        dtype=recipe.dtype,
        seed=recipe.seed,
        trust_remote_code=recipe.trust_remote_code,
    )
    policy.model.requires_grad_(False)
    engine, note = choose(policy, recipe.engine)
    engine.share(beside.schedule)
    engine.refresh()
    return Frozen(policy, engine, note)
