"""Keys that do nothing in the recipe they stand in: said, and only of keys that the user wrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hone.core.method import Method
from hone.core.recipe import Recipe


@dataclass(frozen=True)
class Inert:
    """`keys` do nothing where `when` holds, because of `why`."""

    keys: tuple[str, ...]
    when: Callable[[Recipe, Method], bool]
    why: str


def inert(recipe: Recipe, method: Method) -> list[str]:
    """A sentence for every key that the user wrote and that does nothing here."""
    rows = (*TABLE, _clipping(method))
    return [
        f"`{key}` does nothing here: {row.why}"
        for row in rows
        for key in row.keys
        if key in recipe.written and row.when(recipe, method)
    ]


def _updates_of_a_batch(recipe: Recipe) -> int:
    return recipe.num_iterations * recipe.minibatches


def _updates(recipe: Recipe) -> int:
    return recipe.steps * _updates_of_a_batch(recipe)


def _one_update(recipe: Recipe, method: Method) -> bool:
    return _updates_of_a_batch(recipe) == 1


def _clipping(method: Method) -> Inert:
    """The objective's limits on how far a batch may move the policy."""
    options: tuple[str, ...] = getattr(method.objective, "limits", ())
    keys = (*options, *(f"objective.{option}" for option in options))
    return Inert(
        keys,
        _one_update,
        "a batch is used for one update, so the policy is the one that the ratio compares it with, every ratio is 1 "
        "and nothing is clipped (`num_iterations` or `minibatches` make more updates of it)",
    )


def _teaches(recipe: Recipe, method: Method) -> bool:
    return not method.episode.samples


def _only_oracles(recipe: Recipe, method: Method) -> bool:
    return _teaches(recipe, method) and not getattr(method.episode, "mix", None)


def _no_evaluation_on_the_way(recipe: Recipe, method: Method) -> bool:
    return not 0 < recipe.eval.every < recipe.steps


TABLE: tuple[Inert, ...] = (
    Inert(
        ("num_generations",),
        _only_oracles,
        "without `episode.mix` a demonstration is the one oracle of its problem",
    ),
    Inert(
        ("max_sampled_tokens",), _teaches, "demonstrations are not sampled; `steps` alone says when it ends"
    ),
    Inert(("max_error_share",), _teaches, "demonstrations are not judged"),
    Inert(("mask_truncated_completions", "selectors"), _teaches, "no demonstration is cut off"),
    Inert(
        ("mask_truncated_completions",),
        lambda r, m: (
            m.episode.samples
            and r.mask_truncated_completions
            and any(s.name == "mask_truncated" for s in r.selectors or ())
        ),
        "`selectors` mask truncated completions already",
    ),
    Inert(("value_coef",), lambda r, m: "values" not in m.needs, "no piece of this recipe reads values"),
    Inert(
        ("schedule_steps",),
        lambda r, m: r.schedule == "constant" and r.schedule_steps is not None,
        "`schedule: constant` never decays",
    ),
    Inert(
        ("schedule",),
        lambda r, m: r.schedule != "constant" and 0 < _updates(r) <= r.warmup_steps,
        "the run ends within its warm-up",
    ),
    Inert(
        ("one_step_off",),
        lambda r, m: r.one_step_off and r.steps < 2,
        "a run of one step has no next step to sample ahead",
    ),
    Inert(
        ("trust_remote_code",),
        lambda r, m: r.trust_remote_code and r.model.partition(":")[0] in ("sprout", "micro"),
        "the embedded models come without code",
    ),
    Inert(
        ("eval.every",),
        lambda r, m: r.eval.every >= max(1, r.steps) and r.max_sampled_tokens is None,
        "the run ends no later, and is evaluated at its end anyway",
    ),
    Inert(("eval.samples_during",), _no_evaluation_on_the_way, "no evaluation falls between first and last"),
    Inert(
        ("eval.samples_during",),
        lambda r, m: not _no_evaluation_on_the_way(r, m) and r.eval.samples_during > r.eval.samples,
        "evaluations on the way take no more than `eval.samples`",
    ),
    Inert(
        ("eval.k",),
        lambda r, m: max(r.eval.k) > r.eval.samples,
        "in part: a k above `eval.samples` cannot be estimated and is left out",
    ),
    Inert(
        ("eval.keep_samples",),
        lambda r, m: r.eval.keep_samples > r.eval.problems * r.eval.samples,
        "an evaluation has fewer completions",
    ),
    Inert(
        ("warmup_steps", "steps"),
        lambda r, m: 0 < _updates(r) <= r.warmup_steps,
        "in part: the warm-up takes all updates, so `learning_rate` is never passed on from",
    ),
    Inert(
        ("checkpoint.every",),
        lambda r, m: r.checkpoint.every >= max(1, r.steps),
        "the run ends no later, and a checkpoint is written at its end anyway",
    ),
)
