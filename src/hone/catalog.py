"""The one place that imports all rooms: names to pieces, and a recipe to its resolved method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hone import credit, curricula, episodes, objectives, selectors
from hone.combinations import refuse
from hone.core.errors import RecipeError, nearest
from hone.core.method import Method
from hone.core.recipe import Choice, Recipe
from hone.core.registry import Registry, option_types
from hone.methods import cards
from hone.rewards import (
    AbstractionReward,
    FixedMajority,
    LengthPenalty,
    Majority,
    Progress,
    Retrospection,
    TerminationBaseline,
    Verifier,
)

_PIECES: dict[str, dict[str, type]] = {
    "curriculum": {
        "uniform": curricula.Uniform,
        "by_level": curricula.ByLevel,
        "base_votes": curricula.BaseVotes,
        "test_time": curricula.TestTime,
        "dynamic_sampling": curricula.DynamicSampling,
        "early_stop": curricula.EarlyStop,
        "variance_optimal": curricula.VarianceOptimal,
        "maxrl_optimal": curricula.MaxrlOptimal,
        "pope": curricula.Pope,
    },
    "episode": {
        "single_turn": episodes.SingleTurn,
        "demonstration": episodes.Demonstration,
        "abstraction": episodes.Abstraction,
        "abstraction_demonstration": episodes.AbstractionDemonstration,
        "cheatsheet": episodes.Cheatsheet,
        "thinking": episodes.Thinking,
        "continuation": episodes.Continuation,
        "turns": episodes.Turns,
    },
    "rewards": {
        "verifier": Verifier,
        "abstraction": AbstractionReward,
        "majority": Majority,
        "fixed_majority": FixedMajority,
        "progress": Progress,
        "termination_baseline": TerminationBaseline,
        "length_penalty": LengthPenalty,
        "retrospection": Retrospection,
    },
    "selectors": {
        "mask_truncated": selectors.MaskTruncated,
        "zero_variance": selectors.ZeroVariance,
        "helpful": selectors.Helpful,
        "part": selectors.LearnPart,
        "most_progress": selectors.MostProgress,
        "continuations": selectors.Continuations,
    },
    "credit": {
        "reinforce": credit.Reinforce,
        "rloo": credit.Rloo,
        "stopped_rloo": credit.StoppedRloo,
        "grpo": credit.Grpo,
        "maxrl": credit.Maxrl,
        "pass_at_k": credit.PassAtK,
        "gae": credit.Gae,
        "rwr": credit.Rwr,
        "centre": credit.Centre,
        "scale": credit.Scale,
        "clip": credit.Clip,
    },
    "objective": {
        "policy_gradient": objectives.PolicyGradient,
        "ppo_clip": objectives.PpoClip,
        "gspo": objectives.Gspo,
        "cispo": objectives.Cispo,
        "supervised": objectives.Supervised,
        "soft_target": objectives.SoftTarget,
    },
    "correction": {"importance": objectives.Correction},
    "kl": {"loss": objectives.KlLoss, "reward": objectives.KlReward},
}
REGISTRY = Registry()
for _stage, _pieces in _PIECES.items():
    for _name, _piece in _pieces.items():
        REGISTRY.add(_stage, _name, _piece)

STAGE_KEYS = (
    *("curriculum", "episode", "rewards", "selectors", "credit"),
    *("objective", "reduction", "correction", "kl"),
)


def fill(recipe: Recipe, loose: Mapping[str, Any]) -> Recipe:
    """The recipe with every stage key set: the card's choice unless the user's, and every loose key claimed.

    `loose` are keys like `epsilon` or `beta` that belong to whichever piece has an option of that name. Raises
    RecipeError for a key that no piece of this recipe claims, with the nearest that one does.
    """
    card = cards.load_training(recipe.method)
    updates: dict[str, Any] = {}
    for stage in STAGE_KEYS:
        if getattr(recipe, stage) is None and card.composition.get(stage) is not None:
            updates[stage] = card.composition[stage]
    for key in ("mask_truncated_completions", "entropy_coef", "value_coef", "group_by"):
        if key in card.composition and key not in recipe.model_fields_set:
            updates[key] = card.composition[key]
    filled = Recipe.model_validate(recipe.model_dump(exclude_unset=True) | updates)
    return _claim(filled, loose)


_CLAIMING = ("curriculum", "episode", "rewards", "selectors", "credit", "objective", "correction", "kl")


def _options(stage: str, name: str) -> set[str]:
    """Options of a piece; none for the choice `none`."""
    return set() if name == "none" else set(option_types(REGISTRY.get(stage, name)))


def _claim(recipe: Recipe, loose: Mapping[str, Any]) -> Recipe:
    """Give each loose key to the pieces that have an option of that name."""
    if not loose:
        return recipe
    dump = recipe.model_dump()
    claimed: dict[str, str] = {}  # key -> the stage that took it
    offered: set[str] = set()
    for stage in _CLAIMING:
        choices = getattr(recipe, stage)
        many = choices if isinstance(choices, tuple) else (choices,)
        out = []
        for choice in many:
            if choice is None:
                continue
            options = _options(stage, choice.name)
            offered |= options
            mine = {k: v for k, v in loose.items() if k in options}
            for key in mine:
                if claimed.setdefault(key, stage) != stage:
                    raise RecipeError(
                        f"Both `{claimed[key]}` and `{stage}` have an option `{key}`.",
                        f"Write `{claimed[key]}.{key}` or `{stage}.{key}`.",
                    )
            out.append({"name": choice.name, **choice.options, **mine})
        if out:
            dump[stage] = out if isinstance(choices, tuple) else out[0]
    for key in loose:
        if key in ("top_p", "top_k", "min_p"):
            raise RecipeError(
                f"`{key}` is not a key of training: the trainer scores the whole vocabulary, so samples from a part of "
                "it would be learnt from as if they were something else.",
                "Sample from the whole distribution; `hone eval` takes these settings.",
            )
        if key not in claimed:
            owners = [f"`{s}: {n}`" for s in _CLAIMING for n in REGISTRY.names(s) if key in _options(s, n)]
            if owners:
                raise RecipeError(
                    f"No piece of this recipe has an option `{key}`, so it would do nothing.",
                    f"It belongs to {', '.join(owners)}: choose one of them, or remove it.",
                )
            elsewhere = {o for s in _CLAIMING for n in REGISTRY.names(s) for o in _options(s, n)}
            known = sorted(offered | elsewhere | set(Recipe.model_fields))
            raise RecipeError(f"No part of this recipe has a key `{key}`.", nearest(key, known))
    return Recipe.model_validate(dump)


def _rewards(recipe: Recipe, episode: Any) -> tuple[Any, ...]:
    """The reward pieces in order; by default the judge's verdict where something is sampled."""
    if recipe.rewards is None:
        return (Verifier(),) if episode.samples else ()
    return tuple(REGISTRY.build("rewards", c.name, c.options, {}) for c in recipe.rewards)


def build_method(recipe: Recipe) -> Method:
    """The pieces of a filled recipe. Raises RecipeError for combinations that have no meaning, with the reason."""
    given = {
        "num_generations": recipe.num_generations,
        "problems_per_step": recipe.problems_per_step,
        "seed": recipe.seed,
        "models": tuple(recipe.models),
        "eval_problems": recipe.eval.problems,
    }

    def one(stage: str, choice: Choice | None) -> Any:
        if choice is None or choice.name == "none":
            return None
        return REGISTRY.build(stage, choice.name, choice.options, given)

    if (
        recipe.curriculum is None
        or recipe.episode is None
        or recipe.objective is None
        or recipe.reduction is None
    ):
        open_stages = [
            s for s in ("curriculum", "episode", "objective", "reduction") if getattr(recipe, s) is None
        ]
        raise RecipeError(
            f"The card `{recipe.method}` leaves `{open_stages[0]}` open.", f"Set `{open_stages[0]}`."
        )
    curriculum = one("curriculum", recipe.curriculum)
    if getattr(curriculum, "stops", False):
        given["per_round"] = curriculum.round
    links = recipe.credit if isinstance(recipe.credit, tuple) else (recipe.credit,)
    earned = tuple(piece for link in links if (piece := one("credit", link)) is not None)
    chosen = [one("selectors", c) for c in recipe.selectors or ()]
    if recipe.mask_truncated_completions:
        chosen.append(selectors.MaskTruncated())
    if getattr(curriculum, "drops_zero_variance", False):
        chosen.append(selectors.ZeroVariance())
    distance = one("kl", recipe.kl)
    episode = one("episode", recipe.episode)
    whole = earned[0] if len(earned) == 1 else credit.Chain(earned) if earned else None
    method = Method(
        name=recipe.method,
        curriculum=curriculum,
        episode=episode,
        rewards=_rewards(recipe, episode),
        selectors=tuple(chosen),
        credit=whole,
        objective=one("objective", recipe.objective),
        reduction=recipe.reduction,
        reduce=objectives.bind(recipe.reduction, length=recipe.max_completion_length),
        correction=one("correction", recipe.correction),
        kl_loss=distance if isinstance(distance, objectives.KlLoss) else None,
        kl_reward=distance if isinstance(distance, objectives.KlReward) else None,
        entropy=objectives.EntropyBonus(recipe.entropy_coef) if recipe.entropy_coef else None,
        value_coef=recipe.value_coef if "values" in getattr(whole, "needs", ()) else None,
        group_by=recipe.group_by,
    )
    refuse(recipe, method)
    return method
