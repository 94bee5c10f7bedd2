"""The derived table against numbers worked out by hand."""

from __future__ import annotations

from hone.catalog import build_method
from hone.cli.derived import notes, run_rows, step_rows
from hone.recipes.load import resolve


def rows(**keys):
    recipe = resolve(
        {"task": "maze", "num_generations": 16, "problems_per_step": 8, "max_completion_length": 50, **keys}
    )[0]
    method = build_method(recipe)
    return dict(step_rows(recipe, method)), dict(run_rows(recipe, method)), notes(recipe, method)


def test_a_sampled_step_and_run():
    step, run, said = rows(steps=10, num_iterations=2, minibatches=4, max_tokens_per_microbatch=500)
    assert step["problems"] == "8"
    assert step["rollouts"] == "8 × 16 = 128"
    assert step["sampled tokens"] == "at most 128 × 50 = 6,400"
    assert step["updates"] == "2 × 4 = 8"
    assert "full length 4 an update" in step["micro-batches"]  # 6400 / 4 minibatches / 500
    assert run["rollouts"] == "1,280"
    assert run["sampled tokens"] == "at most 64,000"
    assert run["evaluation"] == "100 problems × 16 samples before and after"
    assert any("checkpoint.every" in text for text in said)


def test_a_budget_of_tokens_and_evaluations_on_the_way():
    evaluation = {"every": 5, "problems": 20, "samples": 32}
    _, run, said = rows(
        steps=10, max_sampled_tokens=10_000, schedule="cosine", checkpoint={"every": 5}, eval=evaluation
    )
    assert run["steps"].startswith("at most 10; it ends when 10,000 tokens")
    assert run["rollouts"] == "at most 1,280"
    assert run["sampled tokens"] == "at most 16,400"  # the step that crosses the budget is finished
    assert run["evaluation"] == "20 problems × 32 samples before and after, × 8 every 5 steps"
    assert len(said) == 1
    assert "cosine" in said[0]


def test_demonstrations_sample_nothing():
    step, run, _ = rows(method="sft", steps=10)
    assert step["demonstrations"] == "8 × 1 = 8"  # without a mix, the oracle of each problem
    assert "sampled tokens" not in step | run
    mixed, whole, _ = rows(method="sft", steps=10, episode={"name": "demonstration", "mix": {"direct": 1.0}})
    assert mixed["demonstrations"] == "8 × 16 = 128"
    assert whole["demonstrations"] == "1,280"
