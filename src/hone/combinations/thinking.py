"""Combinations without meaning among the pieces that cut thinking into episodes and force answers."""

from __future__ import annotations

from hone.core.errors import RecipeError
from hone.core.method import Method
from hone.core.recipe import Recipe

RESHAPING = ("length_penalty", "termination_baseline")  # pieces that make other rewards of those of verdicts


def _rewards(recipe: Recipe) -> list[str]:
    return [choice.name for choice in recipe.rewards or ()]


def measured_by_nobody(recipe: Recipe, method: Method) -> RecipeError | None:
    """Progress is a difference of readings, and one episode takes them."""
    wanting = ["rewards: progress"] if "progress" in _rewards(recipe) else []
    wanting += ["selectors: most_progress" for c in recipe.selectors or () if c.name == "most_progress"]
    if not wanting or getattr(method.episode, "places", False):
        return None
    return RecipeError(
        f"`{wanting[0]}` reads how often answers forced along the way are right, and this episode forces none.",
        "Set `episode: thinking`.",
    )


def progress_unread(recipe: Recipe, method: Method) -> RecipeError | None:
    """Local advantages are added to those of outcomes."""
    if "progress" not in _rewards(recipe):
        return None
    if method.credit is not None and "values" not in method.credit.needs:
        return None
    return RecipeError(
        "`rewards: progress` is added to the advantages of outcomes, and this `credit` gives none.",
        "Use credit that compares outcomes, such as `rloo`.",
    )


def compared_with_nobody(recipe: Recipe, method: Method) -> RecipeError | None:
    """The terminate-now baseline needs rollouts that terminate, and others that go on."""
    terminates = getattr(method.episode, "terminates", False)
    if "termination_baseline" in _rewards(recipe) and not terminates:
        return RecipeError(
            "`rewards: termination_baseline` compares with rollouts that were made to answer at once, and this episode "
            "has none.",
            "Set `episode: continuation`.",
        )
    if terminates and recipe.num_generations < 2:
        return RecipeError(
            "`episode: continuation` makes half of the rollouts answer, and `num_generations` is 1.",
            "Raise `num_generations`.",
        )
    return None


def reshaped_too_early(recipe: Recipe, method: Method) -> RecipeError | None:
    """What verdicts gave is changed before it is there, and then written over."""
    names = _rewards(recipe)
    early = [n for i, n in enumerate(names) if n in RESHAPING and "verifier" not in names[:i]]
    if not early:
        return None
    return RecipeError(
        f"`rewards: {early[0]}` makes other rewards of those of verdicts, and no `verifier` comes before it.",
        "Put `verifier` first.",
    )


def reshaped_pass_rates(recipe: Recipe, method: Method) -> RecipeError | None:
    """Credit for pass rates wants rewards of 0 and 1."""
    found = [n for n in _rewards(recipe) if n in RESHAPING]
    links = getattr(method.credit, "links", (method.credit,))
    if not found or not any(getattr(link, "pass_rates", False) for link in links):
        return None
    return RecipeError(
        f"`rewards: {found[0]}` makes rewards other than 0 and 1, which this `credit` is defined for.",
        "Use `rloo` or `reinforce`.",
    )


def trimmed_and_reinforced(recipe: Recipe, method: Method) -> RecipeError | None:
    """The end of a trimmed trace was not sampled as it stands."""
    if not getattr(method.episode, "trim", False) or not getattr(method.objective, "reads_advantages", True):
        return None
    return RecipeError(
        "`episode.trim` closes traces where the policy did not, so they are no samples of it to be reinforced.",
        "Use `objective: supervised` with `credit: none` and `selectors: most_progress`.",
    )


CHECKS = (
    measured_by_nobody,
    progress_unread,
    compared_with_nobody,
    reshaped_too_early,
    reshaped_pass_rates,
    trimmed_and_reinforced,
)
