from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hone.report import compare, story
from hone.report.data import Estimate


def row(mean: float, low: float, high: float) -> dict[str, object]:
    return {
        "a": "maxrl",
        "b": "rloo",
        "metric": "pass@1",
        "mean": mean,
        "low": low,
        "high": high,
        "n": 8,
        "wins": 7,
    }


def test_a_difference_is_decided_by_its_interval_alone() -> None:
    assert compare.verdict(row(0.021, 0.003, 0.039)) == (
        "decided", "pass@1: maxrl above rloo by 2.1 points [0.3, 3.9] at 95%, 8 seeds")  # fmt: skip
    assert compare.verdict(row(-0.021, -0.039, -0.003)) == (
        "decided", "pass@1: rloo above maxrl by 2.1 points [0.3, 3.9] at 95%, 8 seeds")  # fmt: skip
    kind, words = compare.verdict(row(0.03, -0.001, 0.061))
    assert kind == "open"
    assert "undecided between maxrl and rloo, difference +3.0 points [−0.1, +6.1]" in words
    assert compare.verdict(row(0.03, 0.0, 0.06))[0] == "open"
    assert compare.verdict(row(0.03, float("nan"), 0.06))[0] == "open"


def test_change_needs_intervals_apart() -> None:
    low, high = Estimate(0.3, 0.25, 0.35), Estimate(0.5, 0.45, 0.55)
    assert "clear gain" in story.change(low, high)
    assert "clear loss" in story.change(high, low)
    assert "not established" in story.change(low, Estimate(0.4, 0.34, 0.46))
    assert story.change(low, None) == "Measured once so far."
    assert story.change(Estimate(0.3), high) == "No intervals were recorded."


def test_mean_curve_is_the_students_interval_on_the_common_range() -> None:
    xs = np.array([0.0, 10.0])
    curves = [(xs, np.array([0.0, level])) for level in (0.2, 0.4, 0.6)] + [(xs[:1], xs[:1])]
    found = compare.mean_curve(curves)
    assert found is not None
    grid, mean, low, high = found
    assert (grid[0], grid[-1]) == (0, 10)
    assert mean[-1] == pytest.approx(0.4)
    half = stats.t.ppf(0.975, 2) * 0.2 / 3**0.5
    assert high[-1] - mean[-1] == pytest.approx(half)
    assert mean[-1] - low[-1] == pytest.approx(half)
    assert compare.mean_curve([(xs, xs), (xs + 20, xs)]) is None
