"""What guided prompts forbid: groups of unlike difficulty must not share a baseline, and no prefix may be learnt."""

from __future__ import annotations

from hone.core.errors import RecipeError
from hone.core.method import Method
from hone.core.recipe import Recipe


def _guides(method: Method) -> bool:
    """Whether some groups are shown a part of a solution."""
    return getattr(method.curriculum, "guides", False)


def guided_and_unguided_together(recipe: Recipe, method: Method) -> RecipeError | None:
    """A guided version is easier: under one baseline its successes count as failures of the other."""
    if not _guides(method) or method.group_by != "problem":
        return None
    return RecipeError(
        f"`group_by: problem` compares guided rollouts of `curriculum: {method.name}` with unguided ones: the baseline "
        "of a hard problem would be that of its easier version.",
        "Set `group_by=variant`, under which each version has a baseline of its own.",
    )


def guided_under_the_batch(recipe: Recipe, method: Method) -> RecipeError | None:
    """Statistics of a whole step mix guided and unguided groups."""
    if not _guides(method):
        return None
    over = [link for link in getattr(method.credit, "links", (method.credit,)) if _of_the_batch(link)]
    if not over:
        return None
    return RecipeError(
        "Some groups of a step are shown a part of the solution and are easier than the others, and "
        f"`credit: {over[0]}` reads statistics of the whole step: guided groups would set them.",
        "Use credit that compares the rollouts of a group (`rloo`, `grpo`, `maxrl`; `over: group` in a chain).",
    )


def _of_the_batch(link: object) -> bool:
    """Whether a credit piece centres or scales by all rollouts of a step."""
    return getattr(link, "over", "group") == "batch" or getattr(link, "baseline", "") == "batch"


def prefixes_learnt_from(recipe: Recipe, method: Method) -> RecipeError | None:
    """A demonstration is a solution as actions: its tokens carry loss, a prefix among them."""
    if not _guides(method) or method.episode.samples:
        return None
    return RecipeError(
        f"`episode: {recipe.episode.name if recipe.episode else ''}` trains on the tokens of solutions, and the "
        "prefixes of guided prompts carry no loss.",
        "Set `episode: single_turn`, or learn from demonstrations with `method: sft`.",
    )


def prefixes_not_shown(recipe: Recipe, method: Method) -> RecipeError | None:
    """Only an episode that shows the request's own prompt, and judges the prefix with the answer, is guided."""
    if not _guides(method) or recipe.episode is None or recipe.episode.name == "single_turn":
        return None
    return RecipeError(
        f"`episode: {recipe.episode.name}` does not answer guided prompts.", "Set `episode: single_turn`."
    )


CHECKS = (guided_and_unguided_together, guided_under_the_batch, prefixes_learnt_from, prefixes_not_shown)
