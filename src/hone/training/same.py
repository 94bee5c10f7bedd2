"""Whether a stored run is the run of a recipe: which keys differ, among those that decide its result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from hone.core.errors import quoted
from hone.core.recipe import Recipe
from hone.training.planning import adopt

# Keys that decide what a run writes beside its result, or whether it may run at all.
BESIDE = ("checkpoint", "max_error_share", "price_per_hour", "trust_remote_code")
BESIDE_OF_EVAL = ("every", "before", "samples_during", "keep_samples")  # the last evaluation is the result


def differences(recipe: Recipe, stored: Mapping[str, Any]) -> str:
    """The keys in which a run's own recipe.yaml differs from `recipe`, with both values; '' if none does.

    A key that did not exist when the run was made had its default. Keys that do not decide the run's result may
    differ: those of BESIDE and, in `eval`, those of evaluations before the last. With `one_step_off` they decide it,
    because such a run rests before every evaluation and checkpoint.
    """
    try:
        theirs = Recipe.model_validate(dict(stored)).dump()
    except ValidationError as error:
        return f"its recipe.yaml is of another version ({error.errors()[0]['msg']})"
    ours = adopt(recipe, stored).dump()
    if not recipe.one_step_off:
        ours, theirs = deciding(ours), deciding(theirs)
    found = [
        f"`{key}` was {quoted(theirs[key])}, now {quoted(ours[key])}"
        for key in ours
        if ours[key] != theirs[key]
    ]
    return ", ".join(found)


def deciding(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A dumped recipe without the keys that do not decide the result, blocks flattened to dotted keys."""
    evaluation = {f"eval.{k}": v for k, v in plan["eval"].items() if k not in BESIDE_OF_EVAL}
    return {k: v for k, v in plan.items() if k != "eval" and k not in BESIDE} | evaluation
