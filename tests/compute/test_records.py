"""Records draw the same frontier as all readings, exactly; and the frontier's bias is what can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hone.compute.records import frontier_of_points, record_bias, record_breaking
from hone.core.errors import DataError

readings = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 40)), min_size=1, max_size=40
)  # few levels, so that ties of compute and of reward are common


def arrays(points):
    compute, reward = (np.array(column, dtype=float) for column in zip(*points))
    return compute, reward / 40


@settings(deadline=None, max_examples=60)
@given(readings)
def test_the_frontier_of_the_records_is_that_of_all_readings(points):
    compute, reward = arrays(points)
    kept = record_breaking(compute, reward)
    every, of_records = frontier_of_points(compute, reward), frontier_of_points(compute[kept], reward[kept])
    assert np.array_equal(every.compute, of_records.compute)
    assert np.array_equal(every.reward, of_records.reward)


@settings(deadline=None, max_examples=60)
@given(readings)
def test_records_and_frontier_are_their_definitions(points):
    compute, reward = arrays(points)
    slow = {
        i
        for i in range(len(compute))
        if all(reward[i] > reward[j] for j in range(len(compute)) if compute[j] < compute[i])
    }
    assert set(record_breaking(compute, reward).tolist()) == slow
    for at in (-1.0, *compute, compute.max() + 1):
        before = reward[compute <= at]
        value = frontier_of_points(compute, reward).at(at)
        assert np.isnan(value) if len(before) == 0 else value == before.max()


def test_bins_keep_the_first_reading_of_each_new_bin():
    compute = np.arange(7.0)
    reward = np.array([0.11, 0.19, 0.24, 0.13, 0.29, 0.31, 0.99])
    assert record_breaking(compute, reward, bins=10).tolist() == [0, 2, 5, 6]
    assert record_breaking(compute, reward).tolist() == [0, 1, 2, 4, 5, 6]
    with pytest.raises(DataError, match="bins"):
        record_breaking(compute, reward, bins=0)


def test_the_bias_of_flat_readings_of_one_problem_is_the_chance_that_any_is_right():
    # The frontier of 5 readings of one problem, each right with 0.2, is 1 unless all five are wrong.
    bias = record_bias(np.arange(5.0), np.full(5, 0.2), np.ones(5, dtype=int), resamples=2000)
    assert bias.end.value == pytest.approx((1 - 0.8**5) - 0.2, abs=0.03)
    mean = np.mean([1 - 0.8**k - 0.2 for k in range(1, 6)])
    assert bias.mean.value == pytest.approx(mean, abs=0.03)
    assert (bias.end.low, bias.end.high) == pytest.approx((-0.2, 0.8))


def test_the_bias_shrinks_with_problems_and_grows_with_readings():
    def end(points, problems):
        flat = np.full(points, 0.5)
        return record_bias(np.arange(points), flat, np.full(points, problems), resamples=200).end.value

    assert end(100, 8) > end(10, 8) > end(10, 800) > 0
