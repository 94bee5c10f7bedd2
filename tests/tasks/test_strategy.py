"""The latent-strategy task: one of several digits, and a letter decides by which."""

from __future__ import annotations

from collections import Counter

import pytest

from hone.core.errors import TaskError
from hone.tasks import make


def test_every_cue_has_one_strategy_and_cues_are_shared_out_evenly():
    task = make("strategy", strategies=4, cues=8)
    of_cue = {}
    for problem in [task.problem(i, split) for split in ("train", "test") for i in range(100)]:
        of_cue.setdefault(problem.prompt[0], set()).add(task.outline(problem, problem.oracle))
        assert len(set(problem.prompt[1:-1])) == 4
    assert sorted(of_cue) == list("ABCDEFGH")
    assert all(len(found) == 1 for found in of_cue.values())
    assert set(Counter(next(iter(found)) for found in of_cue.values()).values()) == {2}


def test_one_answer_is_right_and_every_strategy_has_its_own():
    task = make("strategy", strategies=6)
    problem = task.problem(5)
    given = problem.prompt[1:-1]
    assert sum(task.verify(problem, text).reward for text in given) == 1
    assert task.verify(problem, f" {problem.oracle}\n").reward == 1
    assert [task.outline(problem, text) for text in given] == list("abcdef")
    assert task.outline(problem, "") == ""
    assert task.verify(problem, "12").detail == "not one digit"
    assert task.parse("a") is None
    assert (task.same("1", "1"), task.same(None, None), task.key(None)) == (True, False, "")
    assert task.size() is None


def test_demonstrations():
    task = make("strategy")
    problem = task.problem(0)
    wrong = {task.demonstrate(problem, seed, "wrong") for seed in range(40)}
    assert len(wrong) == 3
    assert problem.answer not in wrong
    assert task.demonstrate(problem, 0, "direct") == problem.answer
    with pytest.raises(TaskError, match="no room to wander"):
        task.demonstrate(problem, 0, "wandering")


@pytest.mark.parametrize("options", [{"strategies": 9}, {"strategies": 1}, {"cues": 27}, {"cues": 1}])
def test_refusals(options):
    with pytest.raises(TaskError, match="whole number"):
        make("strategy", **options)
