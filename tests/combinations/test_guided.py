"""What guided prompts forbid is refused with its reason; what stands beside it is not."""

from __future__ import annotations

from typing import Any

import pytest

from hone.catalog import build_method
from hone.combinations import guided
from hone.combinations.refused import REFUSED
from hone.core.errors import RecipeError
from hone.core.recipe import Choice
from hone.recipes.load import resolve

# (the check, keys without meaning, a part of the reason, keys beside them that have one)
CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("guided_and_unguided_together", {"group_by": "problem"}, "its easier version", {"group_by": "variant"}),
    ("guided_under_the_batch", {"credit": "reinforce"}, "statistics of the whole step", {"credit": "rloo"}),
    (
        "guided_under_the_batch",
        {"credit": ["rloo", "scale"]},
        "guided groups would set them",
        {"credit": ["rloo", {"name": "scale", "over": "group"}]},
    ),
    (
        "guided_under_the_batch",
        {"credit": [{"name": "centre", "over": "batch"}, {"name": "scale", "over": "group"}]},
        "mean\\(batch v\\)",
        {"credit": ["centre", {"name": "scale", "over": "group"}]},
    ),
    (
        "prefixes_learnt_from",
        {"credit": "none", "episode": "demonstration", "objective": "supervised"},
        "carry no loss",
        {"episode": "single_turn"},
    ),
]


@pytest.mark.parametrize(("name", "wrong", "reason", "right"), CASES)
def test_what_has_no_meaning_is_refused(name: str, wrong: dict, reason: str, right: dict):
    assert getattr(guided, name) in REFUSED
    with pytest.raises(RecipeError, match=reason):
        resolve({"task": "maze", "method": "pope", **wrong})
    resolve({"task": "maze", "method": "pope", **right})


def test_an_episode_that_shows_no_guided_prompts_is_refused():
    (recipe,) = resolve({"task": "maze", "method": "pope"})
    method = build_method(recipe)
    assert guided.prefixes_not_shown(recipe, method) is None
    other = recipe.model_copy(update={"episode": Choice(name="many_turns")})
    assert "many_turns" in str(guided.prefixes_not_shown(other, method))


def test_every_check_has_a_case():
    assert {check.__name__ for check in guided.CHECKS} == {case[0] for case in CASES} | {"prefixes_not_shown"}


def test_other_curricula_may_group_by_problem():
    resolve({"task": "maze", "method": "grpo", "group_by": "problem"})
    resolve({"task": "maze", "method": "reinforce"})


@pytest.mark.parametrize("name", ["pope", "maxrl-pope"])
def test_the_recipes_guide(name: str):
    (recipe,) = resolve(name)
    chosen = recipe.dump()
    assert chosen["curriculum"]["name"] == "pope"
    assert chosen["credit"]["name"] == ("maxrl" if "maxrl" in name else "grpo")
