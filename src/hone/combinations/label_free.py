"""Combinations without a meaning where rewards are made without labels."""

from __future__ import annotations

from hone.core.errors import RecipeError
from hone.core.method import Method
from hone.core.recipe import Choice, Recipe


def _name(choice: Choice | None) -> str:
    return choice.name if choice is not None else ""


def _hides_labels(method: Method) -> bool:
    return any(getattr(reward, "hides_labels", False) for reward in method.rewards)


def majority_of_few(recipe: Recipe, method: Method) -> RecipeError | None:
    """Two answers that differ are a tie, which their order decides."""
    smallest = max((getattr(reward, "min_group", 1) for reward in method.rewards), default=1)
    smallest_drawn = min(recipe.num_generations, getattr(method.curriculum, "smallest_group", smallest))
    if smallest_drawn >= smallest:
        return None
    return RecipeError(
        f"`rewards: majority` lets groups of {smallest_drawn} vote, where two answers that differ are a tie that "
        "their order decides: it would teach nothing.",
        f"Set `num_generations` to {smallest} or more; 8 or more keep a rollout from being its own majority.",
    )


def several_rewards_of_answers(recipe: Recipe, method: Method) -> RecipeError | None:
    """Each of them writes the whole reward, so the last one alone would count."""
    whole = [c.name for c in recipe.rewards or () if c.name in ("verifier", "majority", "fixed_majority")]
    if len(whole) < 2:
        return None
    return RecipeError(
        f"`rewards` has {' and '.join(f'`{name}`' for name in whole)}, and each of them replaces the reward of the "
        "one before it.",
        "Keep one of them.",
    )


def labels_that_are_hidden(recipe: Recipe, method: Method) -> RecipeError | None:
    """A curriculum that goes by verdicts on the way reads the labels that the reward does not."""
    if not _hides_labels(method) or "verdicts" not in method.curriculum.needs:
        return None
    return RecipeError(
        f"`curriculum: {_name(recipe.curriculum)}` goes by the verdicts of what was sampled, and those read "
        "the labels that the rewards of this recipe do without.",
        "Use `curriculum: uniform`, or `rewards.keep_fraction`, which draws by the majority's share.",
    )


def training_on_the_test(recipe: Recipe, method: Method) -> RecipeError | None:
    """The evaluation's problems may be trained on only where their labels are not read."""
    if not getattr(method.curriculum, "trains_on_test", False):
        return None
    if not _hides_labels(method):
        return RecipeError(
            f"`curriculum: {_name(recipe.curriculum)}` trains on the problems of the evaluation, and the rewards "
            "of this recipe read their labels.",
            "Set `rewards: [majority]`, or `curriculum: uniform`.",
        )
    if recipe.eval.task is not None:
        return RecipeError(
            f"`curriculum: {_name(recipe.curriculum)}` trains on the test split of `task`, and `eval.task` "
            "evaluates another.",
            "Leave `eval.task` out.",
        )
    return None


WITHOUT_LABELS = (majority_of_few, several_rewards_of_answers, labels_that_are_hidden, training_on_the_test)
