"""Mixtures: proportions, delegation and what a foreign problem does."""

from __future__ import annotations

import pytest

from hone.core.errors import TaskError
from hone.core.problem import Problem
from hone.tasks.arithmetic import Arithmetic
from hone.tasks.countdown import Countdown
from hone.tasks.maze import Maze
from hone.tasks.mixture import Mixture

MIXTURE = Mixture((Maze(5), Countdown(), Arithmetic(2, maximum=50)), (3, 1, 1))


def test_proportions_follow_the_weights():
    names = [MIXTURE.problem(i).task for i in range(1000)]
    assert 540 < names.count("maze") < 660
    assert 150 < names.count("countdown") < 250


def test_finite_tasks_are_repeated():
    assert MIXTURE.size() is None
    assert MIXTURE.problem(10**6).task in ("maze", "countdown", "arithmetic")


def test_negative_index_is_refused():
    with pytest.raises(TaskError, match="negative"):
        Mixture((Maze(5),)).problem(-1)


def test_verdicts_come_from_the_problems_own_task():
    sums = Problem(prompt="1+1=", answer=2, task="arithmetic", level=1)
    assert MIXTURE.verify(sums, "#2").reward == 1.0
    assert MIXTURE.verify(sums, "UDLR").reward == 0.0


def test_foreign_problems_are_refused():
    with pytest.raises(TaskError, match="chess"):
        MIXTURE.verify(Problem(prompt="e4", answer="e5", task="chess"), "e5")
