"""Problems in the order of their level, without shuffling."""

from __future__ import annotations

import json

import pytest

from hone.core.errors import TaskError
from hone.curricula import ByLevel
from hone.tasks import make


def test_easy_problems_come_first_and_all_come_again():
    task, curriculum = make("maze", sizes=5), ByLevel(num_generations=3, problems_per_step=40)
    state = curriculum.init(task, seed=0)
    size = task.size()
    drawn = []
    for step in range(1, 2 + size // 40):
        requests, state = curriculum.draw(state, task, step, [])
        assert [(r.group, r.count) for r in requests] == [(i, 3) for i in range(40)]
        drawn += [r.problem for r in requests]
    levels = [p.level for p in drawn[:size]]
    assert levels == sorted(levels)
    assert len({p.id for p in drawn[:size]}) == size
    assert [p.id for p in drawn[size:]] == [p.id for p in drawn[: len(drawn) - size]]


def test_a_step_is_drawn_once():
    task, curriculum = make("maze", sizes=5), ByLevel()
    state = json.loads(json.dumps(curriculum.init(task, 0)))  # what a checkpoint keeps
    assert curriculum.draw(state, task, 1, [object()])[0] == []


def test_a_task_without_an_end_has_no_order():
    with pytest.raises(TaskError, match="has no end"):
        ByLevel().init(make("countdown"), 0)
