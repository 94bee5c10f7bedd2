"""Arithmetic chains: values, scratchpads and what counts as an answer."""

from __future__ import annotations

import pytest

from hone.core.problem import Problem
from hone.tasks.arithmetic import Arithmetic
from hone.tasks.expressions import evaluate

PROBLEM = Problem(prompt="3+4*2-15=", answer=-4, task="arithmetic", level=3)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("#-4", 1.0),
        ("#\u22124", 1.0),
        ("nonsense\n# -4 \n", 1.0),
        ("#-04", 1.0),
        ("-4", 0.0),
        ("#4", 0.0),
        ("#-40", 0.0),
        ("#-4.0", 0.0),
        ("#-4 or 4", 0.0),
        ("#-4\n#-4", 0.0),
        ("#- 4", 0.0),
        ("#--4", 0.0),
        ("#3+4*2-15", 0.0),
        ("#1_0", 0.0),
    ],
)
def test_verdicts(text, reward):
    assert Arithmetic().verify(PROBLEM, text).reward == reward


@pytest.mark.parametrize("operations", [1, 3, 8])
def test_answers_and_scratchpads_are_true(operations):
    task = Arithmetic(operations, maximum=30)
    for index in range(60):
        problem = task.problem(index)
        assert evaluate(problem.prompt.removesuffix("=")).value == problem.answer
        *steps, last = problem.oracle.split("\n")
        assert len(steps) == operations == problem.level
        assert last == f"#{problem.answer}"
        for step in steps:
            left, right = step.split("=")
            assert evaluate(f"0{left}" if left.startswith("-") else left).value == int(right)


def test_levels_are_drawn_evenly():
    levels = [Arithmetic((1, 5), maximum=50).problem(i).level for i in range(200)]
    assert set(levels) == {1, 5}
    assert 60 < levels.count(5) < 140


def test_size_counts_what_can_be_counted():
    assert Arithmetic(1).size("train") + Arithmetic(1).size("test") == 300
    assert Arithmetic((1, 2)).size("train") + Arithmetic((1, 2)).size("test") == 300 + 9000
    assert Arithmetic(3).size() is None
