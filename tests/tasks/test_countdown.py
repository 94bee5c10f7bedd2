"""Countdown and its expression reader, against Python's own exact arithmetic."""

from __future__ import annotations

import ast
import operator
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hone.core.problem import Problem
from hone.tasks.countdown import Countdown
from hone.tasks.expressions import evaluate, final

PROBLEM = Problem(prompt="3,7,12=33>", answer=33, task="countdown", level=3)
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("#3*7+12", 1.0),
        ("#12+(7*3)", 1.0),
        ("3*7=99\n#12 + 7 * 3\n", 1.0),
        ("#12+7\u00d73", 1.0),
        ("#3*7+12=33", 0.0),
        ("3*7+12", 0.0),
        ("#33", 0.0),
        ("#3*7+12#3*7+12", 0.0),
        ("#3*7*12", 0.0),
        ("#3*7+12+0", 0.0),
        ("#3*7+1+2", 0.0),
        ("#3*7+12*1", 0.0),
        ("#37+12", 0.0),
        ("#3*7--12", 0.0),
        ("#+12+3*7", 0.0),
        ("#(3*7+12", 0.0),
        ("#3*7+12)", 0.0),
        ("#__import__('os')", 0.0),
        ("#3**7", 0.0),
        ("#3//7", 0.0),
    ],
)
def test_verdicts(text, reward):
    assert Countdown().verify(PROBLEM, text).reward == reward


def test_division_is_exact():
    problem = Problem(prompt="1,3,3=1>", answer=1, task="countdown")
    assert Countdown().verify(problem, "#1/3*3").reward == 1.0
    problem = Problem(prompt="8,3,8,3=24>", answer=24, task="countdown")
    assert Countdown().verify(problem, "#8/(3-8/3)").reward == 1.0


def test_equal_answers_share_a_key():
    task = Countdown()
    assert task.same("3*7+12", "12+7*3")
    assert not task.same("3*7+12", "33")
    assert not task.same("3*7+12", "(12+7)*3")


@pytest.mark.parametrize("numbers", [3, 4, 5, 6])
def test_steps_of_the_oracle_are_true(numbers):
    task = Countdown(numbers, maximum=100)
    for index in range(60):
        problem = task.problem(index)
        *steps, last = problem.oracle.split("\n")
        assert len(steps) == numbers - 1
        for step in steps:
            left, right = step.split("=")
            assert evaluate(left).value == int(right) >= 1
        assert int(steps[-1].split("=")[1]) == problem.answer == evaluate(final(last)).value


def _by_python(node):
    if isinstance(node, ast.Expression):
        return _by_python(node.body)
    if isinstance(node, ast.Constant):
        return Fraction(node.value)
    return OPERATORS[type(node.op)](_by_python(node.left), _by_python(node.right))


NESTED = st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map("".join), inner.map(lambda text: f"({text})")
    ),
    max_leaves=8,
)


@given(NESTED)
@settings(max_examples=100, deadline=None)
def test_reader_agrees_with_pythons_grammar(text):
    try:
        expected = _by_python(ast.parse(text, mode="eval"))
    except ZeroDivisionError:
        expected = None
    got = evaluate(text)
    assert (got.value if got else None) == expected


@given(st.text(alphabet="0123456789+-*/() ", max_size=20))
@settings(max_examples=100, deadline=None)
def test_reader_never_raises(text):
    got = evaluate(text)
    assert got is None or isinstance(got.value, Fraction)
