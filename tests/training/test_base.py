"""Measuring a base model: random training problems, real costs, and a cache that knows what it holds."""

from __future__ import annotations

import json

import pytest

from hone.core.errors import RecipeError
from hone.recipes.load import resolve
from hone.training import base as measuring
from hone.training.base import measure_base

PLAN = {
    "task": {"name": "maze", "sizes": 5},
    "model": "micro:new",
    "num_generations": 4,
    "problems_per_step": 2,
    "max_completion_length": 6,
    "num_iterations": 2,
    "eval": {"problems": 4, "samples": 4, "k": [1, 4]},
}


class Heard:
    """Remembers notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def plan(self, *_: object) -> None: ...

    step = evaluation = plan


def test_a_measurement_counts_what_was_sampled(tmp_path, monkeypatch):
    recipe, heard = resolve(PLAN)[0], Heard()
    found = measure_base(recipe, 6, 3, cache=tmp_path / "base.json", progress=heard)
    assert (found.samples, len(found.rates), found.train_problems) == (3, 6, 156)
    assert found.pass_at_1["low"] <= found.pass_at_1["value"] <= found.pass_at_1["high"]
    assert 1 <= found.cost.completion_tokens <= 6
    assert found.cost.prompt_tokens > 10
    assert (found.cost.updates, found.cost.passes) == (
        2,
        7,
    )  # two passes of 3, and one that scores old logprobs
    assert found.cost.flops(4) < found.cost.flops(1)
    assert found.cost.seconds > 0
    assert any("timing 2 steps of 2 × 4 rollouts" in note for note in heard.notes)

    def no_session(*_: object, **__: object) -> None:
        raise AssertionError("it was measured before")

    monkeypatch.setattr(measuring, "open_session", no_session)
    assert measure_base(recipe, 6, 3, cache=tmp_path / "base.json", progress=heard) == found
    assert "was measured before" in heard.notes[-1]
    with pytest.raises(AssertionError):  # other samples are another measurement
        measure_base(recipe, 6, 4, cache=tmp_path / "base.json")
    (tmp_path / "base.json").write_text("torn {")
    with pytest.raises(AssertionError):
        measure_base(recipe, 6, 3, cache=tmp_path / "base.json")


def test_a_small_task_is_taken_whole_and_in_no_order(tmp_path, monkeypatch):
    rows = [{"question": f"{i}", "answer": "1"} for i in range(12)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen = []
    real = measuring.evaluate

    def watch(*args: object, **settings: object):
        seen.append(settings["indices"])
        return real(*args, **settings)

    monkeypatch.setattr(measuring, "evaluate", watch)
    recipe = resolve(PLAN | {"task": {"name": f"jsonl:{tmp_path / 't.jsonl'}"}, "eval": {"problems": 1}})[0]
    found = measure_base(recipe, 50, 2)
    size = found.train_problems
    assert size is not None
    assert sorted(seen[0]) == list(range(size))
    assert seen[0] != sorted(seen[0])
    assert len(found.rates) == size


def test_demonstrations_are_no_rollouts():
    recipe = resolve(PLAN | {"method": "sft", "num_iterations": 1, "episode": "demonstration"})[0]
    with pytest.raises(RecipeError, match="no rollouts to plan"):
        measure_base(recipe, 2, 2)
