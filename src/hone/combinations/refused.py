"""Combinations that cannot mean what their user hopes: one function each, which gives the reason and the mend."""

from __future__ import annotations

from collections.abc import Callable

from hone.combinations import abstractions, amounts, guided, thinking
from hone.combinations.label_free import WITHOUT_LABELS
from hone.core.errors import RecipeError
from hone.core.lazy import torch
from hone.core.method import Method
from hone.core.recipe import Choice, Recipe

Check = Callable[[Recipe, Method], RecipeError | None]


def refuse(recipe: Recipe, method: Method) -> None:
    """Raise the RecipeError of the first combination without meaning."""
    for check in REFUSED:
        if error := check(recipe, method):
            raise error


def _links(recipe: Recipe) -> tuple[Choice, ...]:
    pieces = recipe.credit if isinstance(recipe.credit, tuple) else (recipe.credit,)
    return tuple(piece for piece in pieces if piece is not None)


def _credit(recipe: Recipe) -> str:
    return " + ".join(link.name for link in _links(recipe))


def _curriculum(recipe: Recipe) -> str:
    return recipe.curriculum.name if recipe.curriculum is not None else ""


def _reads_advantages(method: Method) -> bool:
    return getattr(method.objective, "reads_advantages", True)


def demonstrations_with_credit(recipe: Recipe, method: Method) -> RecipeError | None:
    """Nothing is sampled, so nothing is rewarded."""
    if method.episode.samples or (method.credit is None and method.correction is None):
        return None
    return RecipeError(
        "Demonstrations carry no rewards or sampler logprobs.", "Set `credit: none`, `correction: none`."
    )


def demonstrations_with_kl(recipe: Recipe, method: Method) -> RecipeError | None:
    """The estimators are expectations over the policy's own samples."""
    if method.episode.samples or (method.kl_loss is None and method.kl_reward is None):
        return None
    return RecipeError(
        "`kl` estimates a divergence from the policy's own samples, and demonstrations are not sampled.",
        "Set `kl: none`.",
    )


def demonstrations_ahead(recipe: Recipe, method: Method) -> RecipeError | None:
    """There is no sampling to overlap."""
    if not recipe.one_step_off or method.episode.samples:
        return None
    return RecipeError("`one_step_off` is about sampling, and demonstrations are not sampled.", "Remove it.")


def ahead_without_correction(recipe: Recipe, method: Method) -> RecipeError | None:
    """Older weights sample than are trained."""
    if not recipe.one_step_off or method.correction is not None:
        return None
    return RecipeError(
        "With `one_step_off` rollouts are sampled from older weights than they train, and `correction` is none.",
        "Set `correction=importance`.",
    )


def imitation_of_oneself(recipe: Recipe, method: Method) -> RecipeError | None:
    """The expectation of the score is zero."""
    if not method.episode.samples or _reads_advantages(method) or "action_logprobs" in method.needs:
        return None
    if method.credit is not None:
        return RecipeError(
            f"`objective` imitates every rollout alike and reads no `credit: {_credit(recipe)}`.",
            "Use `objective: policy_gradient`, or learn from demonstrations with `method: sft`.",
        )
    if method.selectors:
        return None
    return RecipeError(
        "`objective` imitates the policy's own samples, all of them alike: the expected update is zero.",
        "Use `objective: policy_gradient` with a credit piece, or learn from demonstrations with `method: sft`.",
    )


def targets_without_actions(recipe: Recipe, method: Method) -> RecipeError | None:
    """Soft labels are probabilities of actions that can be listed."""
    if "action_logprobs" not in method.needs or recipe.actions:
        return None
    return RecipeError(
        "`objective` moves the policy to probabilities of actions, and `actions` lists none.",
        "List the actions, one token each.",
    )


def targets_that_nobody_writes(recipe: Recipe, method: Method) -> RecipeError | None:
    """Soft labels come from a piece of `rewards`, and are for an objective that reads them."""
    written = any("targets" in getattr(reward, "gives", ()) for reward in method.rewards)
    if written == ("targets" in method.needs):
        return None
    if written:
        return RecipeError(
            "A piece of `rewards` writes targets, and `objective` does not read them.",
            "Set `objective: soft_target`, or leave the piece out.",
        )
    return RecipeError(
        "`objective: soft_target` moves the policy to targets, and no piece of `rewards` writes any.",
        "Set `rewards: [verifier, retrospection]`.",
    )


def no_credit(recipe: Recipe, method: Method) -> RecipeError | None:
    """Every rollout would be reinforced alike."""
    if not method.episode.samples or method.credit is not None or not _reads_advantages(method):
        return None
    return RecipeError(
        "`credit` is none, so every rollout would be reinforced alike.", "Choose a credit piece."
    )


def none_in_a_chain(recipe: Recipe, method: Method) -> RecipeError | None:
    """`none` is the absence of credit, not a link."""
    if len(_links(recipe)) < 2 or all(link.name != "none" for link in _links(recipe)):
        return None
    return RecipeError(f"`credit: {_credit(recipe)}` has `none` among its links.", "Leave `none` out.")


def token_credit_in_a_chain(recipe: Recipe, method: Method) -> RecipeError | None:
    """A chain passes one value a rollout on; token credit reads one a token."""
    if len(_links(recipe)) < 2 or "values" not in method.needs:
        return None
    return RecipeError(
        f"`credit: {_credit(recipe)}` chains a piece that gives credit to tokens, and the links of a chain pass on "
        "one value for each rollout.",
        "Use it alone.",
    )


def pass_rates_of_something_else(recipe: Recipe, method: Method) -> RecipeError | None:
    """A piece that reads rewards as pass rates must see the rewards themselves."""
    links = getattr(method.credit, "links", (method.credit,))
    late = [link for link in links[1:] if getattr(link, "pass_rates", False)]
    if late:
        return RecipeError(
            f"`credit: {_credit(recipe)}` changes the rewards before a piece that reads them as pass rates, from 0 "
            "to 1.",
            "Put that piece first.",
        )
    if method.kl_reward is not None and getattr(links[0], "pass_rates", False):
        return RecipeError(
            f"`kl: reward` makes rewards other than 0 and 1, which `credit: {_credit(recipe)}` is defined for.",
            "Use `kl: loss`.",
        )
    return None


def small_groups(recipe: Recipe, method: Method) -> RecipeError | None:
    """A group statistic of too few."""
    smallest = getattr(method.credit, "min_group", 1)
    least = getattr(method.curriculum, "smallest_group", None)
    if least is not None and least < smallest:
        return RecipeError(
            f"`credit: {_credit(recipe)}` needs groups of at least {smallest}, but `curriculum: {_curriculum(recipe)}` "
            f"can leave a problem with {least}.",
            "Raise `curriculum.round` or `curriculum.min_generations`, whichever it has.",
        )
    if not method.episode.samples or recipe.num_generations >= smallest:
        return None
    return RecipeError(
        f"`credit: {_credit(recipe)}` needs groups of at least {smallest}, but `num_generations` is "
        f"{recipe.num_generations}.",
        "Raise `num_generations`, or use `credit: reinforce`, whose baseline is the batch.",
    )


def unasked_verdicts(recipe: Recipe, method: Method) -> RecipeError | None:
    """A curriculum that goes by rewards where there are none, or not yet."""
    if not method.curriculum.needs:
        return None
    if not method.episode.samples:
        return RecipeError(
            f"`curriculum: {_curriculum(recipe)}` goes by rewards, and demonstrations are not judged.",
            "Set `curriculum: uniform`.",
        )
    if recipe.one_step_off:
        return RecipeError(
            f"`curriculum: {_curriculum(recipe)}` goes by the rewards of what was sampled, but `one_step_off` draws a "
            "step before the one before it is known, and judges after the step is drawn.",
            "Use `curriculum: uniform`, or leave `one_step_off` out.",
        )
    return None


_OF_PROBLEMS = {
    "sequence_sum": "problem_sum",
    "sequence_mean": "problem_mean",
    "token_mean": "problem_token_mean",
}


def unequal_groups_weighed_by_size(recipe: Recipe, method: Method) -> RecipeError | None:
    """A mean over all rollouts counts a problem as often as it was sampled."""
    unequal = getattr(method.curriculum, "unequal_groups", False) or getattr(
        method.curriculum, "stops", False
    )
    if not unequal or method.reduction not in _OF_PROBLEMS:
        return None
    return RecipeError(
        f"`curriculum: {_curriculum(recipe)}` gives problems groups of unequal sizes, and `reduction: "
        f"{method.reduction}` weighs each problem by the size of its group.",
        f"Set `reduction={_OF_PROBLEMS[method.reduction]}`, which is the same for groups of one size.",
    )


def stopped_groups(recipe: Recipe, method: Method) -> RecipeError | None:
    """Weights for groups that stop by their rewards, or for groups that do not."""
    links = getattr(method.credit, "links", (method.credit,))
    stops = getattr(method.curriculum, "stops", False)
    if stops and any(getattr(link, "fixed_groups", False) for link in links):
        return RecipeError(
            f"`credit: {_credit(recipe)}` counts the subsets of a group of a fixed size, and `curriculum: "
            f"{_curriculum(recipe)}` stops a group by its rewards.",
            "Use `credit: stopped_rloo`, or `curriculum: uniform`.",
        )
    if not stops and any(getattr(link, "of_stopped_groups", False) for link in links):
        return RecipeError(
            f"`credit: {_credit(recipe)}` weighs groups that stop by their rewards, and those of `curriculum: "
            f"{_curriculum(recipe)}` do not.",
            "Set `curriculum: early_stop`, or use `credit: rloo`.",
        )
    return None


def signal_without_variance(recipe: Recipe, method: Method) -> RecipeError | None:
    """To drop groups of equal rewards changes the objective, where credit learns from them."""
    chosen = {choice.name for choice in recipe.selectors or ()}
    if not (getattr(method.curriculum, "drops_zero_variance", False) or "zero_variance" in chosen):
        return None
    if method.credit is None or "values" in method.needs:
        learns = method.episode.samples
    else:
        groups = torch.arange(2).repeat_interleave(recipe.num_generations)
        learns = bool((method.credit(groups.double(), groups) != 0).any())
    if not learns:
        return None
    return RecipeError(
        f"Groups of equal rewards are dropped, but `credit: {_credit(recipe)}` learns from them: to drop them would "
        "change what it ascends.",
        "Use credit that compares the rollouts of a group, such as `rloo`, `grpo` or the published `maxrl`.",
    )


def small_batch(recipe: Recipe, method: Method) -> RecipeError | None:
    """A batch statistic of one rollout."""
    smallest = getattr(method.credit, "min_batch", 1)
    rollouts = recipe.num_generations * recipe.problems_per_step
    if not method.episode.samples or rollouts >= smallest:
        return None
    return RecipeError(
        f"`credit: {_credit(recipe)}` compares the rollouts of a step, and a step has {rollouts}: every advantage "
        "would be zero.",
        "Raise `problems_per_step` or `num_generations`.",
    )


def empty_minibatches(recipe: Recipe, method: Method) -> RecipeError | None:
    """Minibatches are dealt whole groups."""
    if recipe.minibatches <= recipe.problems_per_step:
        return None
    return RecipeError(
        f"`minibatches` is {recipe.minibatches}, but a step has {recipe.problems_per_step} groups to deal out.",
        "Lower `minibatches` or raise `problems_per_step`.",
    )


def weightless_kl(recipe: Recipe, method: Method) -> RecipeError | None:
    """A reference that is loaded and scored for nothing."""
    pieces = [piece for piece in (method.kl_loss, method.kl_reward) if piece is not None]
    if all(piece.beta for piece in pieces):
        return None
    return RecipeError(
        "`kl.beta` is 0: a reference would be loaded and scored at every step, and weigh nothing.",
        "Set `beta` above 0, or `kl: none`.",
    )


def untrained_values(recipe: Recipe, method: Method) -> RecipeError | None:
    """The value head starts at zero, and would stay there."""
    if "values" not in method.needs or recipe.value_coef:
        return None
    return RecipeError(
        f"`value_coef` is 0, so the values that `credit: {_credit(recipe)}` reads would never be learnt.",
        "Raise `value_coef`, or use a credit piece without values.",
    )


def two_numbers_for_one(recipe: Recipe, method: Method) -> RecipeError | None:
    """What a curriculum takes from the recipe."""
    choice = recipe.curriculum
    for key in ("num_generations", "problems_per_step"):
        if choice is not None and key in choice.options:
            return RecipeError(
                f"`curriculum.{key}` is the recipe's own `{key}`, which more than the curriculum reads.",
                f"Set `{key}`.",
            )
    for link in _links(recipe):
        for key, own in {"num_generations": "num_generations", "per_round": "curriculum.round"}.items():
            if key in link.options:
                return RecipeError(
                    f"`credit.{key}` is the recipe's own `{own}`, which the curriculum reads too.",
                    f"Set `{own}`.",
                )
    return None


REFUSED: tuple[Check, ...] = (
    *guided.CHECKS,
    none_in_a_chain,
    token_credit_in_a_chain,
    demonstrations_with_credit,
    demonstrations_with_kl,
    demonstrations_ahead,
    ahead_without_correction,
    imitation_of_oneself,
    targets_without_actions,
    targets_that_nobody_writes,
    no_credit,
    pass_rates_of_something_else,
    small_groups,
    unasked_verdicts,
    stopped_groups,
    unequal_groups_weighed_by_size,
    signal_without_variance,
    small_batch,
    empty_minibatches,
    weightless_kl,
    untrained_values,
    two_numbers_for_one,
    *amounts.CHECKS,
    *abstractions.CHECKS,
    *WITHOUT_LABELS,
    *thinking.CHECKS,
)
