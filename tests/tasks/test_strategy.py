"""The latent-strategy task: a letter stands for a strategy that no prompt names."""

from __future__ import annotations

from collections import Counter

import pytest

from hone.core.errors import TaskError
from hone.tasks import make


def test_every_cue_has_one_strategy_and_cues_are_shared_out_evenly():
    task = make("strategy", strategies=4, cues=8)
    problems = [task.problem(i, split) for split in ("train", "test") for i in range(task.size(split))]
    assert len({p.id for p in problems}) == len(problems) == 800
    of_cue = {}
    for problem in problems:
        of_cue.setdefault(problem.prompt[0], set()).add(task.outline(problem, problem.oracle))
    assert sorted(of_cue) == list("ABCDEFGH")
    assert all(len(found) == 1 for found in of_cue.values())
    assert set(Counter(next(iter(found)) for found in of_cue.values()).values()) == {2}


def test_one_answer_is_right_and_every_strategy_has_its_own():
    task = make("strategy", strategies=6)
    problem = task.problem(5)
    answers = [name + problem.prompt[1:3] for name in "123456"]
    assert sum(task.verify(problem, text).reward for text in answers) == 1
    assert task.verify(problem, f" {problem.oracle}\n").reward == 1
    assert [task.outline(problem, text) for text in answers] == list("123456")
    assert task.outline(problem, "") == ""
    assert task.verify(problem, "12").detail == "not a strategy and two digits"
    assert task.parse("abc") is None
    assert (task.same("112", "112"), task.same(None, None), task.key(None)) == (True, False, "")


def test_demonstrations():
    task = make("strategy")
    problem = task.problem(0)
    wrong = {task.demonstrate(problem, seed, "wrong") for seed in range(40)}
    assert len(wrong) == 3
    assert problem.answer not in wrong
    assert task.demonstrate(problem, 0, "direct") == problem.answer
    with pytest.raises(TaskError, match="no room to wander"):
        task.demonstrate(problem, 0, "wandering")


@pytest.mark.parametrize("options", [{"strategies": 10}, {"strategies": 1}, {"cues": 27}, {"cues": 1}])
def test_refusals(options):
    with pytest.raises(TaskError, match="whole number"):
        make("strategy", **options)
