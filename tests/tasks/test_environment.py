"""Environments as a task, and hints to follow."""

from __future__ import annotations

import pytest

from hone.core.environment import hinted
from hone.core.errors import RecipeError, TaskError
from hone.core.problem import Task, split_of
from hone.tasks import make

KEY_DOOR = {"environment": "key_door", "settings": {"length": 5}}


def test_problems_are_seeds_of_their_split():
    task = make("environment", environment="lock")
    assert isinstance(task, Task)
    train = [task.problem(i) for i in range(20)]
    test = [task.problem(i, "test") for i in range(20)]
    assert task.problem(3) == train[3]
    assert len({p.id for p in train + test}) == 40
    assert {split_of(f"seed {p.answer}") for p in train} == {"train"}
    assert {split_of(f"seed {p.answer}") for p in test} == {"test"}
    for p in train[:5]:
        assert p.prompt == task.start(p).state


def test_a_text_is_played_and_its_return_discounted():
    task = make("environment", **KEY_DOOR, discount=0.5)
    problem = task.problem(0)
    won = task.verify(problem, "L L R R R R L")
    assert (won.reward, won.answer, won.parts) == (0.5**5, "L L R R R R", {"steps": 6.0})
    assert task.verify(problem, "LLRRRR").reward == won.reward
    short = task.verify(problem, "L L R")
    assert (short.reward, short.detail) == (0.0, "stopped before the end")
    for nonsense in ("", "left", "L X"):
        verdict = task.verify(problem, nonsense)
        assert (verdict.reward, verdict.detail) == (0.0, "not a list of actions")


def test_equal_lists_of_actions_are_the_same_answer():
    task = make("environment", **KEY_DOOR)
    assert task.same(task.parse(" L  R\n"), task.parse("L R"))
    assert not task.same(task.parse(""), task.parse(""))
    assert task.key("L R") == "L R"


def test_hints_are_followed_by_their_answers_as_often_as_they_say():
    task = make("hints", **KEY_DOOR, faith=0.8)
    problems = [task.problem(i) for i in range(2000)]
    assert task.problem(7) == problems[7]
    followed: dict[str, list[float]] = {"+": [], "-": [], "": []}
    for p in problems:
        hint, answer, _ = p.answer
        followed[hint[:1]].append(task.verify(p, answer).reward)
        assert p.oracle == answer
        assert str(p.prompt).endswith(f" {hint}>" if hint else ">")
    share = {kind: sum(found) / len(found) for kind, found in followed.items()}
    assert share["+"] == pytest.approx(0.8 + 0.2 / 2, abs=0.05)
    assert share["-"] == pytest.approx(0.8 + 0.2 / 2, abs=0.05)
    assert share[""] == 1.0
    assert len(followed["+"]) / 2000 == pytest.approx(0.5, abs=0.05)


def test_hinted_states_are_states_that_play_meets():
    task = make("hints", **KEY_DOOR)
    states = {str(task.problem(i).prompt) for i in range(300)}
    met = {"k.a.d>", "ka..d>", "A...d>", ".A..d>", "..A.d>", "...Ad>", "k..ad>", "k...a>"}
    assert states <= {hinted(s, h) for s in met for h in ("", "+L", "+R", "-L", "-R")}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"environment": "key_dor"}, TaskError, "Did you mean `key_door`"),
        ({"settings": {"size": 3}}, TaskError, "no option of environment `key_door`"),
        ({"discount": 0.0}, RecipeError, "above 0"),
        ({"enviroment": "lock"}, TaskError, "Did you mean `environment`"),
    ],
)
def test_wrong_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        make("environment", **options)
