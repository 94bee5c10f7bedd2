"""A task without some of its problems keeps its order, its name and everything else it can do."""

from __future__ import annotations

import copy

import pytest

from hone.core.errors import TaskError
from hone.core.problem import Task
from hone.tasks import Maze, Mixture
from hone.tasks.left_out import LeftOut


def test_indices_close_up_and_the_other_split_stays():
    task = Maze(5)
    less = LeftOut(task, "train", {0, 3})
    assert isinstance(less, Task)
    assert less.size("train") == task.size("train") - 2
    assert [less.problem(i).id for i in range(3)] == [task.problem(i).id for i in (1, 2, 4)]
    assert less.problem(0, "test") == task.problem(0, "test")
    assert less.size("test") == task.size("test")
    with pytest.raises(TaskError, match="distinct problems"):
        less.problem(less.size("train"))


def test_what_the_task_can_do_it_still_can():
    less = LeftOut(Maze(5), "train", {0})
    problem = less.problem(0)
    text = less.demonstrate(problem, 0, "direct")
    assert less.verify(problem, text).reward == 1
    assert less.key(less.parse(text)) == Maze(5).key(Maze(5).parse(text))
    assert less.name == "maze"
    assert not hasattr(less, "bad")
    assert copy.copy(less).size("train") == less.size("train")
    assert Mixture((less,)).demonstrate(problem, 0, "direct") == text
