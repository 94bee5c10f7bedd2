"""The latent-strategy task: digits moved on by a shift that a letter decides."""

from __future__ import annotations

from collections import Counter

import pytest

from hone.core.errors import TaskError
from hone.tasks import make
from hone.tasks.strategy import carry_out


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
    answers = [carry_out(problem, shift) for shift in range(1, 7)]
    assert len(set(answers)) == 6
    assert sum(task.verify(problem, text).reward for text in answers) == 1
    assert task.verify(problem, f" {problem.oracle}\n").reward == 1
    assert [task.outline(problem, text) for text in answers] == list("abcdef")
    assert task.outline(problem, "") == ""
    assert task.verify(problem, "1").detail == "not two digits"
    assert task.parse("ab") is None
    assert (task.same("12", "12"), task.same(None, None), task.key(None)) == (True, False, "")


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


def test_nine_is_followed_by_nought():
    task = make("strategy")
    problem = next(p for i in range(99) if "9" in (p := task.problem(i)).prompt)
    given, shift = problem.prompt[1:3], 1 + "abcd".index(task.outline(problem, problem.answer))
    assert problem.answer == "".join("0123456789012"[int(d) + shift] for d in given)
