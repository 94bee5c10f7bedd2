"""Arms differ in credit and group size alone, claims read the right arms, and a short run gives what they read."""

import numpy as np
import pytest

from hone.recipes.load import resolve
from hone.studies import maxrl_maze, maxrl_maze17, maxrl_mazes

STUDIES = [maxrl_maze, maxrl_maze17]
OF_ARMS = {"credit", "entropy_coef", "num_generations", "problems_per_step"}


@pytest.mark.parametrize("study", STUDIES)
def test_arms_differ_in_credit_and_groups_alone(study):
    recipes = [study.FULL.recipe(cell, "sprout") for cell in study.STUDY.cells(False) if cell.seed == 0]
    resolved = [resolve(recipe)[0].dump() for recipe in recipes]
    for one in resolved[1:]:
        assert {key for key in one if one[key] != resolved[0][key]} <= OF_ARMS
    assert {r["num_generations"] * r["problems_per_step"] for r in resolved} == {study.FULL.rollouts}
    seeds = {cell.seed for cell in study.STUDY.cells(False)}
    assert len(study.STUDY.cells(False)) == len(recipes) * len(seeds)


@pytest.mark.parametrize("study", STUDIES)
def test_every_claim_compares_two_arms(study):
    """With results whose every number names its arm, each claim finds the difference it states."""
    names = {cell.name for cell in study.STUDY.cells(False)}
    worth = {name: float(at) for at, name in enumerate(sorted(names))}

    def result(value, seed):
        end = {f"pass@{k}": value + seed for k in (1, study.FULL.samples)}
        return {"end": end, "with_success": 100 * value + seed}

    results = {name: {seed: result(worth[name], 2 * seed) for seed in range(3)} for name in names}
    found = study.STUDY.statistics(results)
    assert set(found) == {claim.id for claim in study.STUDY.claims}
    difference = worth["maxrl-16"] - worth["grpo-16"]
    assert found["maxrl_over_grpo_pass@1"] == pytest.approx([difference] * 3)
    assert found["maxrl_over_grpo_with_success"] == pytest.approx([100 * difference] * 3)
    scaled = worth[f"maxrl-{study.FEW}"] - worth[f"rloo-{study.MANY}"]
    assert found[f"maxrl_{study.FEW}_over_rloo_{study.MANY}"] == pytest.approx([scaled] * 3)
    del results["grpo-16"][1]
    assert (
        len(study.STUDY.statistics(results)["maxrl_over_grpo_pass@1"]) == 2
    )  # paired over the seeds of both
    del results["grpo-16"]
    assert "maxrl_over_grpo_pass@1" not in study.STUDY.statistics(results)


def test_what_is_kept_of_a_run():
    metrics = [
        {
            "groups/all_zero": 1 - step / 10, "sampled_tokens": 100 * step, "entropy": 1.0, "length/mean": 5.0,
            "grad_norm": float(step),
        }
        for step in range(1, 11)
    ]  # fmt: skip
    ends = [{f"pass@{k}": {"value": v} for k in (1, 4, 16, 64)} for v in (0.1, 0.5)]
    found = maxrl_mazes.read(
        metrics, [{**ends[0], "sampled_tokens": 0}, {**ends[1], "sampled_tokens": 1000}], 64
    )
    assert found["with_success"] == pytest.approx(0.95)  # of the last two of ten steps
    assert (found["start"]["pass@64"], found["end"]["pass@1"]) == (0.1, 0.5)
    assert found["largest_grad_norm"] == 10
    assert found["training"]["sampled_tokens"][-1] == 1000


def test_a_short_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HONE_STUDY_CACHE", str(tmp_path))
    cell = next(cell for cell in maxrl_maze.STUDY.cells(True) if cell.settings["credit"] == "maxrl")
    result = maxrl_maze.STUDY.run(cell)
    assert result["sampled_tokens"] >= maxrl_maze.SHORT.tokens
    assert "maxrl-16/0" in capsys.readouterr().out  # says how far it is
    plots = maxrl_mazes.curves({"maxrl-16": {0: result}})
    assert [plot["y"] for plot in plots] == [
        "held-out pass@1", "held-out pass@16", "training problems with a success",
    ]  # fmt: skip
    for plot in plots:
        line = plot["series"]["maxrl"]
        assert len(line["x"]) == len(line["y"]) == len(line["low"])
        assert np.isfinite(line["y"]).all()
