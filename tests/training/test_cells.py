"""The cells of a sweep: grids, what a budget pays for, and the rule of the learning rate."""

from __future__ import annotations

import pytest

from hone.api import plan_sweep
from hone.core.errors import RecipeError
from hone.training import cells

PLAN = {
    "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 4, "problems_per_step": 2,
    "steps": 3, "max_completion_length": 6, "learning_rate": 1e-3,
}  # fmt: skip
GRID = {"num_generations": [2, 8], "problems_per_step": [2, 4]}


def test_a_grid_is_every_combination_and_runs_spend_the_budget():
    plan = plan_sweep(PLAN, GRID, rollouts=64)
    assert [cell.name for cell in plan.cells] == [
        f"num_generations={n},problems_per_step={b}" for n in (2, 8) for b in (2, 4)
    ]
    assert [cell.recipe.steps for cell in plan.cells] == [16, 8, 4, 2]
    assert {cell.rollouts for cell in plan.cells} == {64}
    assert cells.said_of(plan.cells, plan.budget) == []
    assert (plan.base.eval.every, plan.base.eval.before) == (0, False)


def test_what_a_budget_leaves_is_said():
    plan = plan_sweep(PLAN, {"num_generations": [4, 5]}, rollouts=24)
    assert [(cell.recipe.steps, cell.unspent) for cell in plan.cells] == [(3, 0), (2, 4)]
    assert cells.said_of(plan.cells, plan.budget) == [
        "num_generations=5 leaves 4 of 24 rollouts: 2 steps of 10"
    ]
    unequal = plan_sweep(PLAN, {"num_generations": [4, 5]})
    assert "between 24 and 30 rollouts" in cells.said_of(unequal.cells, None)[0]


def test_the_rate_grows_with_the_root_of_a_step():
    rates = [cell.recipe.learning_rate for cell in plan_sweep(PLAN, GRID).cells]
    assert rates == [0.000707107, 0.001, 0.00141421, 0.002]  # 4, 8, 16 and 32 rollouts against the recipe's 8
    fixed = plan_sweep(PLAN, GRID, learning_rate_rule="constant")
    assert {cell.recipe.learning_rate for cell in fixed.cells} == {1e-3}
    assert plan_sweep(PLAN, {"temperature": [1.0, 0.9]}).rule == "constant"
    own = plan_sweep(PLAN, {"num_generations": [2], "learning_rate": [1e-4]})
    assert (own.rule, own.cells[0].recipe.learning_rate) == ("constant", 1e-4)
    mixed = plan_sweep(PLAN, runs=[{"num_generations": 16, "learning_rate": 1e-4}, {"num_generations": 16}],
                       learning_rate_rule="sqrt")  # fmt: skip
    assert [cell.recipe.learning_rate for cell in mixed.cells] == [1e-4, 0.002]


def test_sampled_tokens_end_a_run():
    cell = plan_sweep(PLAN, {"num_generations": [2]}, sampled_tokens=100).cells[0]
    assert (cell.recipe.max_sampled_tokens, cell.recipe.steps, cell.rollouts) == (100, 25, None)
    scheduled = plan_sweep(PLAN | {"schedule": "cosine"}, {"num_generations": [2]}, sampled_tokens=100)
    assert "the learning rate hardly falls" in cells.said_of(scheduled.cells, scheduled.budget)[0]


def test_what_is_overridden_holds_for_every_cell():
    plan = plan_sweep(PLAN, runs=[{}, {"eval.problems": 7}], overrides={"eval.every": 2, "temperature": 0.5})
    assert [cell.name for cell in plan.cells] == ["recipe", "eval.problems=7"]
    assert {(cell.recipe.eval.every, cell.recipe.temperature) for cell in plan.cells} == {(2, 0.5)}


def test_names_become_folders():
    long = plan_sweep(PLAN, {"stop": [["/"], ["*" * 200]]}).cells
    assert long[0].folder.startswith("stop=")
    assert all(set("/*[") & set(cell.folder) == set() and len(cell.folder) < 200 for cell in long)
    assert long[0].folder != long[1].folder


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "either a grid or a list"),
        ({"grid": GRID, "runs": []}, "either a grid or a list"),
        ({"runs": []}, "has no cell"),
        ({"grid": {"steps": []}}, "not a list of different values"),
        ({"grid": {"steps": [1, 1]}}, "not a list of different values"),
        ({"grid": {"seed": [1, 2]}}, "sets `seed`"),
        ({"grid": GRID, "overrides": {"seed": 1}}, "sets `seed` itself"),
        ({"grid": {"steps": [1, 2]}, "rollouts": 64}, "budget decides the steps"),
        ({"grid": GRID, "rollouts": 8}, "8 rollouts do not pay for one step of `num_generations=8,"),
        ({"grid": GRID, "rollouts": 0}, "at least 1"),
        ({"grid": GRID, "rollouts": 8, "sampled_tokens": 8}, "one budget"),
        ({"runs": [{"steps": 3}, {"steps": 3.0}]}, "are the same run"),
        ({"grid": {"steps": [1], "lerning_rate": [1e-3]}}, "Did you mean `learning_rate`"),
        ({"grid": {"method": ["sft"]}}, "samples nothing"),
        ({"grid": {"num_generations": [1_000_000]}, "overrides": {"learning_rate": 0.1}}, "rate of 50"),
        ({"grid": GRID, "overrides": {"seeds": 3}}, "No part of this recipe has a key `seeds`"),
    ],
)
def test_plans_without_meaning_are_refused(given, said):
    with pytest.raises(RecipeError, match=said):
        plan_sweep(PLAN, **given)
