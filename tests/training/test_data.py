"""What is looked at before a run, and what is said of it."""

from __future__ import annotations

import json

import pytest

from hone.catalog import build_method
from hone.curricula import Uniform
from hone.policies.loading import load_policy
from hone.recipes.load import resolve
from hone.tasks import Maze, Mixture, make
from hone.training import prompts
from hone.training.data import prepare

KEYS = {"model": "micro:new", "num_generations": 2, "problems_per_step": 2, "max_completion_length": 4,
        "eval": {"problems": 3, "samples": 1, "k": [1]}}  # fmt: skip


@pytest.fixture(scope="module")
def policy():
    return load_policy("micro:new")


def looked_at(policy, task, **keys):
    recipe = resolve({**KEYS, "task": "maze", **keys})[0]
    return prepare(recipe, build_method(recipe), task, task, policy)


def of_file(tmp_path, n, **options):
    path, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p {i}", "answer": i}) + "\n" for i in range(n)))
    test.write_text('{"prompt": "held out", "answer": 1}\n')
    return make(f"jsonl:{path}", test_path=str(test), **options)


def test_a_long_run_over_few_problems_looks_only_so_far_ahead(policy, tmp_path, monkeypatch):
    draws, draw = [], Uniform.draw

    def counted(self, *given):
        draws.append(given)
        assert len(draws) <= 64, "it would look to the end of the run"
        return draw(self, *given)

    monkeypatch.setattr(Uniform, "draw", counted)
    found = looked_at(policy, of_file(tmp_path, 20), steps=1_000_000_000)
    assert found.record["overlap"]["in_both"] == 0
    assert len(draws) == 64


def test_of_a_task_without_end_the_first_problems_of_the_run_are_looked_at(policy):
    task = Maze(9)
    assert looked_at(policy, task, steps=3).record["prompts"]["train"]["looked_at"] == 6
    found = looked_at(policy, task, steps=1000)
    longest = len(task.problem(0).prompt) + 4
    assert found.record["prompts"]["train"] == {"looked_at": 64, "of": None, "longest": longest}
    assert found.task is task


def test_a_file_is_looked_at_whole_or_it_is_said_how_far(policy, tmp_path, monkeypatch):
    task = of_file(tmp_path, 600)
    whole = looked_at(policy, task)
    assert whole.record["prompts"]["train"]["looked_at"] == 600
    assert "looked at 600 training and 1 held-out" in whole.notes[-1]
    monkeypatch.setattr(prompts, "SECONDS", 0)
    part = looked_at(policy, task)
    assert "looked at 256 (of 600, for want of time) training and 1 held-out" in part.notes[-1]


def test_a_mixture_is_looked_at_by_its_parts_and_by_what_is_drawn(policy, tmp_path):
    found = looked_at(policy, Mixture((of_file(tmp_path, 20), Maze(5))), steps=4)
    assert found.record["prompts"]["train"]["looked_at"] == 20 + 8
    assert found.record["rows"]["read"] == 21


def test_learning_from_oracles_wants_them_before_the_first_step(policy, tmp_path):
    from hone.core.errors import RecipeError

    with pytest.raises(RecipeError, match="20 missing oracle"):
        looked_at(policy, of_file(tmp_path, 20), method="sft")
    with pytest.raises(RecipeError, match="missing oracle"):
        looked_at(policy, of_file(tmp_path, 20), method="sft", steps=1)


def test_a_task_that_is_the_evaluation_too_is_counted(policy):
    class Leaky(Maze):
        def problem(self, index, split="train"):
            return super().problem(index % 2, "test")

    found = looked_at(policy, Leaky(5), steps=2)
    assert found.record["overlap"]["in_both"] == 2
    assert "2 of 2 drawn are in both" in found.notes[-1]
