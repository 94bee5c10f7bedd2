"""Normalised regret against areas known in closed form and against a slow sum over single tokens (T2)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hone.core.errors import DataError
from hone.evals import AnswerCurve, majority_curve, normalised_regret, success_area, success_at


def step_curve(fraction: float, budget: int = 1000) -> AnswerCurve:
    """Never right before a fraction of the budget, always after."""
    tokens = np.arange(1, budget + 1)
    return AnswerCurve(tokens, (tokens >= fraction * budget).astype(float))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_a_step_has_the_regret_of_its_place(fraction):
    (regret,) = normalised_regret([[step_curve(fraction)]], [1000])[0]
    assert regret == pytest.approx(fraction, abs=1e-3)  # a trapezoid's half token


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_constant_success_costs_half_a_segment_more(rate):
    """1 - p, and p/2 over the first segment, which rises from (0, 0)."""
    curve = AnswerCurve([10, 50, 400], [rate] * 3)
    assert 1 - success_area(curve, 1000) == pytest.approx(1 - rate + rate / 2 * 10 / 1000, abs=1e-12)
    assert 1 - success_area(AnswerCurve([1e-9], [rate]), 1000) == pytest.approx(1 - rate, abs=1e-9)


def test_reading_off_the_line_at_the_cutoff_and_holding_after_the_end():
    curve = AnswerCurve([10, 30], [0.0, 1.0])
    assert success_area(curve, 20) == pytest.approx((20 - 10) * 0.5 / 2 / 20)
    assert success_area(curve, 30) == pytest.approx(20 / 2 / 30)
    assert success_area(curve, 300) == pytest.approx((10 + 270) / 300)


def test_two_points_at_one_budget_are_a_jump():
    assert success_area(AnswerCurve([5, 10, 10, 20], [0.0, 0.0, 1.0, 1.0]), 20) == pytest.approx(0.5)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), min_size=1, max_size=6),
    st.integers(1, 60),
)
@settings(max_examples=80, deadline=None)
def test_against_a_slow_sum(points, cutoff):
    """Straight lines between whole tokens: the sum of their midpoints, token by token."""
    tokens = np.array(sorted({t for t, _ in points if t > 0} or {7}))
    success = np.array([s for _, s in points][: len(tokens)] + [0.5] * (len(tokens) - len(points)))
    xs = np.concatenate([[0], tokens])
    ys = np.concatenate([[0.0], success])

    def value(x: float) -> float:
        for i in range(len(xs) - 1):
            if xs[i] <= x <= xs[i + 1]:
                return ys[i] + (x - xs[i]) / (xs[i + 1] - xs[i]) * (ys[i + 1] - ys[i])
        return ys[-1]

    slow = sum((value(x) + value(x + 1)) / 2 for x in range(cutoff)) / cutoff
    assert success_area(AnswerCurve(tokens, success), cutoff) == pytest.approx(slow, abs=1e-12)


def test_means_over_traces_then_problems():
    one, two = AnswerCurve([10], [1.0]), AnswerCurve([10], [0.0])
    got = normalised_regret([[one, two], [one]], [20, 40])
    assert got.shape == (2, 2)
    alone = [1 - success_area(one, c) for c in (20, 40)]
    np.testing.assert_allclose(got, [[(a + 1) / 2 for a in alone], alone], atol=1e-12)


def test_success_within_a_budget():
    got = success_at([[AnswerCurve([10, 20], [0.4, 1.0]), AnswerCurve([15], [0.5])]], [5, 10, 15, 30])
    np.testing.assert_allclose(got, [[0.0, 0.2, 0.45, 0.75]])


def test_majority_along_a_trace():
    got = majority_curve([[1, 2], [2, 1], [3]], [[True, False], [True, False], [True]], 3)
    np.testing.assert_allclose(got, [0.0, 1.0, 1.0])
    with pytest.raises(DataError):
        majority_curve([[1]], [], 1)


@pytest.mark.parametrize(
    ("tokens", "success"),
    [([], []), ([1, 2], [0.5]), ([2, 1], [0.0, 0.0]), ([1], [1.5]), ([1], [np.nan]), ([-1], [0.0])],
)
def test_curves_that_are_none(tokens, success):
    with pytest.raises(DataError):
        AnswerCurve(tokens, success)


def test_no_trace_and_no_cutoff():
    with pytest.raises(DataError):
        normalised_regret([[]], [10])
    with pytest.raises(DataError):
        success_area(AnswerCurve([1], [1.0]), 0)
