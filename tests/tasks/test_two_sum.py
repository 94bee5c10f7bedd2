"""Two-sum: verdicts, and demonstrations whose every line is true."""

from __future__ import annotations

from itertools import combinations

import pytest

from hone.core.errors import TaskError
from hone.core.problem import Problem
from hone.tasks import make
from hone.tasks.two_sum import MOST_FAILED, TwoSum

PROBLEM = Problem(prompt="4,9,2,7,5=11>", answer=11, task="two_sum", level=5)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("#4+7", 1.0),
        ("4+9=13\n?9+2=11\n#2 + 9", 1.0),
        ("4+9=99\n#9+2", 1.0),
        ("4+7", 0.0),
        ("#4+9", 0.0),
        ("#11", 0.0),
        ("#4+7+0", 0.0),
        ("#15-4", 0.0),
        ("#(4+7)", 0.0),
        ("#1+10", 0.0),
        ("#4+7#4+7", 0.0),
        ("#4+7=11", 0.0),
        ("", 0.0),
    ],
)
def test_verdicts(text, reward):
    assert TwoSum().verify(PROBLEM, text).reward == reward


def test_a_number_is_not_used_twice():
    assert TwoSum().verify(Problem("4,3=8>", 8, "two_sum"), "#4+4").reward == 0.0


def test_equal_answers_share_a_key():
    task = TwoSum()
    assert task.same(task.parse("#4+7"), task.parse("#7 + 4"))
    assert not task.same("4+7", "9+2")
    assert not task.same(None, None)


@pytest.mark.parametrize("quality", ["direct", "wandering", "hasty"])
def test_demonstrations(quality):
    task = TwoSum(numbers=(4, 6), maximum=20)
    rewards, failures = [], set()
    for index in range(80):
        problem = task.problem(index)
        given = [int(n) for n in str(problem.prompt).split("=")[0].split(",")]
        *lines, answer = task.demonstrate(problem, index, quality).split("\n")
        tried = []
        for i, line in enumerate(lines):
            assert line.startswith("?") == (i > 0)
            pair, total = line.lstrip("?").split("=")
            tried.append(frozenset(map(int, pair.split("+"))))
            assert sum(tried[-1]) == int(total)
            assert tried[-1] in [frozenset(p) for p in combinations(given, 2)]
        assert len(tried) == len(set(tried))
        sums = [sum(t) for t in tried]
        rewards.append(task.verify(problem, "\n".join([*lines, answer])).reward)
        if quality == "wandering":
            assert sums.index(problem.answer) == len(sums) - 1
            failures.add(len(sums) - 1)
        else:
            assert problem.answer not in sums
            failures.add(len(sums))
    if quality == "direct":
        assert failures == {0}
    else:
        assert max(failures) == MOST_FAILED
    assert all(rewards) if quality != "hasty" else 0 < sum(rewards) < len(rewards) / 2


def test_oracles_and_options():
    task = make("two_sum", numbers=5)
    assert all(task.verify(p, p.oracle).reward == 1 for p in map(task.problem, range(30)))
    assert task.problem(3) == task.problem(3) != task.problem(3, "test")
    for options in ({"numbers": 3}, {"maximum": 8}):
        with pytest.raises(TaskError):
            make("two_sum", **options)
    with pytest.raises(TaskError):
        task.demonstrate(PROBLEM, 0, "wrong")
