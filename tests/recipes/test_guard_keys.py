"""Keys of `guards`, three levels deep: set, refused, explained."""

from __future__ import annotations

import pytest

from hone.core.errors import RecipeError
from hone.recipes.load import parse_overrides, resolve


def test_one_key_of_one_guard_is_set_and_the_rest_stays():
    (recipe,) = resolve(
        {"task": "maze"}, parse_overrides(["guards.gradient.action=stop", "guards.gradient.norm=1e3"])
    )
    (plain,) = resolve({"task": "maze"})
    assert (recipe.guards.gradient.action, recipe.guards.gradient.norm) == ("stop", 1000.0)
    assert recipe.guards.gradient.ratio == plain.guards.gradient.ratio
    assert recipe.guards.mismatch == plain.guards.mismatch
    assert type(recipe).model_validate(recipe.dump()).digest() == recipe.digest()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("guards.gradients.action=stop", r"`guards\.gradients` is not a key.*`gradient`"),
        ("guards.gradient.ration=9", r"`guards\.gradient\.ration` is not a key.*`ratio`"),
        ("guards.gradient.action=halt", r"`guards\.gradient\.action` is 'halt'"),
        ("guards.gradient.action=off", r"`guards\.gradient\.action` is False.*truth value"),
        ("guards.repetition.share=2", r"`guards\.repetition\.share`"),
        ("guards.max_skips=0", r"`guards\.max_skips`"),
    ],
)
def test_what_is_refused(word, message):
    with pytest.raises(RecipeError, match=message):
        resolve({"task": "maze"}, parse_overrides([word]))
