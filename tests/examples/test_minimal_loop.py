"""examples/minimal_loop.py runs, and its steps are those of the library's own loop."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import hone

EXAMPLE = Path(__file__).parents[2] / "examples" / "minimal_loop.py"


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("minimal_loop", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_and_prints_a_line_a_step(example, capsys):
    curve = example.main("micro:new", steps=2, problems=2, rollouts=3)
    lines = capsys.readouterr().out.splitlines()
    assert len(curve) == 2
    assert [line.split()[:2] for line in lines[1:]] == [["step", "1"], ["step", "2"]]


def test_it_is_the_same_computation_as_hone_train(example, monkeypatch, tmp_path):
    """One step on a reward that tells answers apart moves the weights exactly as `hone train` does."""
    from hone.core.problem import Verdict
    from hone.policies.loading import load_policy
    from hone.tasks.maze import Maze

    def by_letters(self, problem, text):
        return Verdict(float(sum(map(ord, text)) % 2), answer=text)

    monkeypatch.setattr(Maze, "verify", by_letters)
    policies = []
    monkeypatch.setattr(
        example, "load_policy", lambda name: policies.append(load_policy(name)) or policies[0]
    )
    task = hone.task("maze", sizes=9)
    first = tmp_path / "first"
    run = hone.train(
        {"task": {"name": "maze", "sizes": 9}, "model": "micro:new", "method": "rloo", "steps": 1,
         "num_generations": 4, "problems_per_step": 3, "max_completion_length": 40, "learning_rate": 2e-4,
         "eval": {"before": False, "problems": 1, "samples": 1, "k": [1]}},
        out=first,
    )  # fmt: skip
    # The curriculum starts at an offset of its own; the example must meet the same mazes.
    from hone.curricula import Uniform

    offset = Uniform().index(0, None)
    monkeypatch.setattr(example.hone, "task", lambda *a, **k: _Shifted(task, offset))
    curve = example.main("micro:new", steps=1, problems=3, rollouts=4)
    assert curve[0] == pytest.approx(run.metrics()[0]["reward/mean"])
    assert 0 < curve[0] < 1
    trained = load_policy(str(run.final))
    for ours, theirs in zip(policies[0].parameters(), trained.parameters(), strict=True):
        assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), abs=1e-5)


class _Shifted:
    """The task from an index on."""

    def __init__(self, task, offset: int) -> None:
        self._task, self._offset = task, offset

    def problem(self, index: int):
        return self._task.problem(self._offset + index)

    def verify(self, problem, text: str):
        return self._task.verify(problem, text)
