"""What all procedural tasks promise: pure functions of the index, disjoint splits, honest demonstrations."""

from __future__ import annotations

import pytest

from hone.core.errors import TaskError
from hone.core.problem import Task, split_of
from hone.tasks.arithmetic import Arithmetic
from hone.tasks.countdown import Countdown
from hone.tasks.maze import Maze
from hone.tasks.mixture import Mixture

MAKERS = {
    "maze9": lambda: Maze(),
    "maze5": lambda: Maze(5),
    "mazes": lambda: Maze((7, 11)),
    "countdown3": lambda: Countdown(),
    "countdown6": lambda: Countdown((5, 6), maximum=100),
    "arithmetic1": lambda: Arithmetic(1),
    "arithmetic": lambda: Arithmetic((2, 8), maximum=30),
    "mixture": lambda: Mixture((Maze(5), Countdown(), Arithmetic(1)), (2, 1, 1)),
}
NASTY = ["", "   ", "\x00\x1b[2J\x07", "\u2212" * 50, "U" * 100_000 + "?", "#" * 100_000, "(" * 100_000]
NASTY += [
    "#" + "(" * 150,
    "#" + "9" * 100_000,
    "#1/0",
    "#\u0663",
    "\ud800",
    "#1\n#2",
    "<eos>",
    "U\u2212D",
    "#--1",
    "#\u2212",
]


@pytest.fixture(params=MAKERS, name="task")
def _task(request):
    return MAKERS[request.param]()


def test_is_a_task(task):
    assert isinstance(task, Task)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_problems_are_a_pure_function_of_options_split_and_index(make):
    forward = [make().problem(i, "test") for i in range(10)]
    backward = [make().problem(i, "test") for i in reversed(range(10))]
    assert forward == backward[::-1]


def test_splits_are_disjoint_and_decided_by_content(task):
    count = 12
    train, test = ([task.problem(i, split) for i in range(count)] for split in ("train", "test"))
    assert all(split_of(p.id) == "train" for p in train)
    assert all(split_of(p.id) == "test" for p in test)
    assert {p.id for p in train}.isdisjoint(p.id for p in test)
    if task.name != "mixture":  # a mixture repeats finite tasks
        assert len({p.id for p in train}) == count


def test_oracle_and_demonstrations_are_what_they_say(task):
    for index in range(40):
        problem = task.problem(index % 10)
        assert task.verify(problem, problem.oracle).reward == 1.0
        for quality, reward in (("direct", 1.0), ("wandering", 1.0), ("wrong", 0.0)):
            text = task.demonstrate(problem, index, quality)
            assert text == task.demonstrate(problem, index, quality)
            assert task.verify(problem, text).reward == reward, (problem, quality, text)
            assert text.isascii()
            assert text.replace("\n", "").isprintable()


def test_demonstrations_vary_with_the_seed(task):
    problem = task.problem(1)
    assert len({task.demonstrate(problem, seed, "wrong") for seed in range(30)}) > 3


def test_unknown_quality_is_refused(task):
    with pytest.raises(TaskError, match="lucky"):
        task.demonstrate(task.problem(0), 0, "lucky")


@pytest.mark.parametrize("text", NASTY, ids=lambda t: ascii(t)[:12])
def test_nonsense_is_worth_nothing_and_never_raises(task, text):
    for index in range(3):
        verdict = task.verify(task.problem(index), text)
        assert verdict.status == "ok"
        assert verdict.reward == 0.0
    answer = task.parse(text)
    assert isinstance(task.key(answer), str)
    assert task.same(answer, answer) == (answer is not None)


def test_votes_for_right_answers_fall_together(task):
    for index in range(10):
        problem = task.problem(index)
        right = [task.verify(problem, task.demonstrate(problem, s, "direct")).answer for s in range(3)]
        wrong = task.verify(problem, task.demonstrate(problem, 0, "wrong")).answer
        assert len({task.key(a) for a in right}) == 1
        if task.name != "mixture":
            assert not task.same(right[0], wrong)


@pytest.mark.parametrize("bad", [-1, 10**9])
def test_finite_tasks_refuse_what_they_do_not_have(bad):
    for task in (Maze(5), Arithmetic(1)):
        with pytest.raises(TaskError):
            task.problem(bad)


def test_unknown_split_is_refused():
    for task in (Maze(), Maze(5), Arithmetic(1), Countdown()):
        with pytest.raises(TaskError, match="validation"):
            task.problem(0, "validation")


def test_finite_tasks_meet_each_problem_once():
    for task, total in ((Maze(5), 168), (Arithmetic(1), 300)):
        sizes = {split: task.size(split) for split in ("train", "test")}
        assert sum(sizes.values()) == total
        for split, size in sizes.items():
            assert len({task.problem(i, split).id for i in range(size)}) == size
            with pytest.raises(TaskError, match=str(size)):
                task.problem(size, split)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Maze(4),
        lambda: Maze(3),
        lambda: Maze(23),
        lambda: Maze(()),
        lambda: Maze((9, 8)),
        lambda: Maze("9"),
        lambda: Maze(True),
        lambda: Countdown(2),
        lambda: Countdown(maximum=5),
        lambda: Arithmetic(0),
        lambda: Arithmetic(maximum=(3, 4)),
        lambda: Mixture(()),
        lambda: Mixture((Maze(),), (1, 2)),
        lambda: Mixture((Maze(), Maze(5)), (1, 0)),
    ],
)
def test_options_without_a_meaning_are_refused(build):
    with pytest.raises(TaskError):
        build()
