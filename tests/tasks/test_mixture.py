"""Mixtures: proportions, delegation and what a foreign problem does."""

from __future__ import annotations

import asyncio

import pytest

from hone.core.errors import TaskError
from hone.core.problem import Problem
from hone.tasks import make
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


def test_many_verdicts_come_in_order_each_from_its_own_task(tmp_path):
    path = tmp_path / "pattern.jsonl"
    path.write_text('{"prompt": "say", "answer": "7"}\n')
    pattern = make(f"jsonl:{path}", verifier="regex:n(\\d)")  # judged in workers
    mixture = Mixture((Arithmetic(2, maximum=50), pattern))
    said = Problem(prompt="say", answer="7", task=pattern.name)
    sums = Problem(prompt="1+1=", answer=2, task="arithmetic", level=1)
    verdicts = asyncio.run(mixture.verify_all([said, sums, said, sums], ["n7", "#2", "n8", "#3"], {}))
    assert [v.reward for v in verdicts] == [1.0, 1.0, 0.0, 0.0]
    assert [v.answer for v in verdicts] == ["7", 2, "8", 3]


def test_foreign_problems_are_refused():
    with pytest.raises(TaskError, match="chess"):
        MIXTURE.verify(Problem(prompt="e4", answer="e5", task="chess"), "e5")
