"""The derived table against numbers worked out by hand."""

from __future__ import annotations

import dataclasses

from hone.catalog import build_method
from hone.cli.derived import memory_rows, notes, pass_rows, run_rows, size, step_rows
from hone.compute.memory import Machine, MemoryPlan
from hone.recipes.load import resolve


def rows(**keys):
    recipe = resolve(
        {"task": "maze", "num_generations": 16, "problems_per_step": 8, "max_completion_length": 50, **keys}
    )[0]
    method = build_method(recipe)
    return dict(step_rows(recipe, method)), dict(run_rows(recipe, method)), notes(recipe, method)


def test_a_sampled_step_and_run():
    step, run, said = rows(steps=10, num_iterations=2, minibatches=4)
    assert step["problems"] == "8"
    assert step["rollouts"] == "8 × 16 = 128"
    assert step["sampled tokens"] == "at most 128 × 50 = 6,400"
    assert step["updates"] == "2 × 4 = 8"
    assert step["scoring"].endswith("num_iterations=2 and minibatches=4 make several updates of a batch")
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


def test_what_memory_makes_of_a_recipe():
    recipe = resolve(
        {"task": "maze", "num_generations": 16, "problems_per_step": 8, "max_completion_length": 50,
         "minibatches": 4, "num_iterations": 2, "kl": {"name": "loss", "beta": 0.1}}
    )[0]  # fmt: skip
    method = build_method(recipe)
    machine = Machine("cuda", 1 << 30, 0.125, 1024, 1 << 24)
    plan = MemoryPlan(machine, {"weights": 1 << 20}, 60, 2 * 810, 1 << 10, False, 500, 10, 50)
    assert dict(memory_rows(plan)) == {
        "weights": "1.0 MiB",
        "activations": "500 tokens × 1.0 KiB = 500.0 KiB",
        "left": "1,022.5 MiB",
        "whole cuda": "1.0 GiB",
    }
    found = dict(pass_rows(recipe, method, plan))
    # Two groups an update: nine answers of 50 with their prompt of 10 are 460, one more would make 510.
    assert found["micro-batches"] == "4 an update, each of at most 500 tokens"
    assert found["trained tokens"].startswith("12,960 a step")  # 2 × 8 × (10 + 16 × 50)
    assert found["scored tokens"] == "12,960 a step, without gradient"  # by the policy and the reference
    full = dataclasses.replace(plan, fixed={"weights": 1 << 30}, recompute=True)
    assert dict(memory_rows(full))["left"] == "nothing: 500.0 KiB too few"
    assert "run again" in dict(memory_rows(full))["activations"]


def test_sizes():
    assert [size(n) for n in (0, 1023, 1536, 80 << 30, 1 << 51)] == [
        "0 B", "1,023 B", "1.5 KiB", "80.0 GiB", "2,048.0 TiB"
    ]  # fmt: skip
