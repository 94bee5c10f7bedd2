"""RICOL as a recipe: it runs from its card, moves the policy towards its targets, and refuses what has no meaning."""

from __future__ import annotations

import pytest

import hone
from hone.catalog import build_method, fill
from hone.core.errors import RecipeError
from hone.core.recipe import Recipe

RECIPE = {
    "task": {"name": "environment", "environment": "key_door", "settings": {"length": 5}},
    "model": "micro:new",
    "method": "ricol",
    "actions": ["L", "R"],
    "num_generations": 4,
    "problems_per_step": 2,
    "max_completion_length": 1,
    "learning_rate": 3e-3,
    "num_iterations": 4,
    "steps": 2,
    "eval": {"problems": 2, "samples": 2, "k": [1]},
}


def test_a_run_learns_its_targets_and_evaluates_whole_attempts(tmp_path):
    run = hone.train(RECIPE, out=tmp_path / "run")
    lines = run.metrics()
    assert all(line["retrospection/heard"] == 1.0 for line in lines)
    assert lines[0]["retrospection/target_kl"] > 0
    first = run.evals()[0]
    assert first["length"] > 2
    assert first["problems"] * first["samples"] == 4


def resolved(**changes: object) -> None:
    recipe = Recipe.model_validate({**RECIPE, **changes})
    build_method(fill(recipe, {}))


def test_the_formula_says_what_the_target_is():
    method = build_method(fill(Recipe.model_validate(RECIPE), {}))
    assert "KL(target ‖ π(·|s_t))" in method.formula()
    assert "target ∝ π(a|s) exp(0.5 · clip₁₀ log(π'(a|s)/π(a|s)))" in method.formula()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": []}, "`actions` lists none"),
        ({"rewards": ["verifier"]}, "no piece of `rewards` writes any"),
        ({"objective": "policy_gradient", "credit": "rloo"}, "`objective` does not read them"),
    ],
)
def test_combinations_without_meaning_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        resolved(**changes)
