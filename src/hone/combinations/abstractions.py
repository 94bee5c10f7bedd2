"""Combinations of RLAD's pieces that cannot mean what their user hopes."""

from __future__ import annotations

from typing import Any

from hone.core.errors import RecipeError
from hone.core.lazy import torch
from hone.core.method import Method
from hone.core.recipe import Recipe


def _two_levels(method: Method) -> bool:
    return getattr(method.episode, "abstractions", None) is not None


def _reward(method: Method) -> Any:
    """The reward piece that judges abstractions, if there is one."""
    return next((r for r in method.rewards if hasattr(r, "mask_bare")), None)


def _trains_abstractor(method: Method) -> bool:
    return "abstractor" not in getattr(method.episode, "models", ())


def abstractions_unjudged(recipe: Recipe, method: Method) -> RecipeError | None:
    """What an abstraction is worth is decided by its solutions, not by a verifier."""
    if _two_levels(method) == (_reward(method) is not None):
        return None
    if _two_levels(method):
        return RecipeError(
            "`episode: abstraction` samples abstractions, and none of the `rewards` says what they are worth.",
            "Set `rewards: [verifier, abstraction]`.",
        )
    return RecipeError(
        "`rewards: abstraction` judges abstractions, and the episode samples none.",
        "Set `episode: abstraction`.",
    )


def abstractions_in_rounds(recipe: Recipe, method: Method) -> RecipeError | None:
    """A problem's abstractions and solutions are sampled together."""
    uneven = ("stops", "unequal_groups")
    if not _two_levels(method) or not any(getattr(method.curriculum, key, False) for key in uneven):
        return None
    name = recipe.curriculum.name if recipe.curriculum is not None else ""
    return RecipeError(
        f"`curriculum: {name}` changes the number of a problem's rollouts, and `episode: abstraction` shares a fixed "
        "number among its abstractions.",
        "Use `curriculum: uniform`.",
    )


def few_abstractions(recipe: Recipe, method: Method) -> RecipeError | None:
    """Abstractions of a problem are compared with each other."""
    least = getattr(method.credit, "min_group", 1)
    if not _two_levels(method) or not _trains_abstractor(method) or method.credit is None:
        return None
    count = getattr(method.episode, "abstractions", least)
    if count >= least:
        return None
    return RecipeError(
        f"Credit compares at least {least} abstractions of a problem, and `episode.abstractions` is {count}.",
        "Raise it, or let a frozen model write them (`models.abstractor.model`).",
    )


def masked_bare_with_gradient(recipe: Recipe, method: Method) -> RecipeError | None:
    """Masking gives bare solutions one reward, which credit must take for no signal."""
    reward = _reward(method)
    if reward is None or not reward.mask_bare or not _bare(method) or method.credit is None:
        return None
    if "values" not in method.credit.needs:
        values = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        earned = method.credit(values, torch.tensor([0, 0, 0, 1, 1, 1]))
        if bool((earned[3:] == 0).all()):
            return None
    return RecipeError(
        "`mask_bare` sets the reward of bare solutions to 0 so that only the KL moves them, and this `credit` still "
        "gives a group of zeros a gradient.",
        "Use credit that compares within a group (`grpo`, `rloo`, `maxrl`), or set `mask_bare=false`.",
    )


def masked_bare_for_nothing(recipe: Recipe, method: Method) -> RecipeError | None:
    """Bare solutions that no term of the loss reads and no filter compares with."""
    reward = _reward(method)
    if reward is None or not reward.mask_bare or not _bare(method):
        return None
    if method.kl_loss is not None or method.kl_reward is not None or _filters(method):
        return None
    return RecipeError(
        "Masked bare solutions move the policy by their KL alone, and `kl` is none: they would be sampled for nothing.",
        "Set `kl: {name: loss, beta: 0.001}`, or `episode.bare` to 0.",
    )


def helpful_than_what(recipe: Recipe, method: Method) -> RecipeError | None:
    """The filter compares with solutions that had no abstraction."""
    if not _filters(method) or _bare(method):
        return None
    return RecipeError(
        "`selectors: helpful` keeps abstractions that beat bare solutions, and `episode.bare` is 0.",
        "Set `episode.bare`.",
    )


def _bare(method: Method) -> int:
    """Solutions of a problem that have no abstraction."""
    return int(getattr(method.episode, "bare", 0))


def _filters(method: Method) -> bool:
    return any(hasattr(selector, "margin") for selector in method.selectors)


CHECKS = (
    abstractions_unjudged,
    abstractions_in_rounds,
    few_abstractions,
    masked_bare_with_gradient,
    masked_bare_for_nothing,
    helpful_than_what,
)
