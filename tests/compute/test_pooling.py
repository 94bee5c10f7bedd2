"""Merging readings, and numbers with limits."""

from __future__ import annotations

import numpy as np
import pytest

from hone.compute.estimate import Estimate, percentile_estimate
from hone.compute.pooling import bins, pool


def test_readings_within_two_percent_of_the_first_of_a_bin_are_merged():
    compute = np.array([0.0, 100, 101, 102, 103, 104.9, 105.1, 0.0, 200])
    assert bins(compute).tolist() == [0, 1, 1, 1, 2, 2, 3, 0, 4]


def test_a_bin_is_the_weighted_mean_of_its_readings():
    merged = pool([100.0, 101, 300], [0.2, 0.5, 0.9], [1, 3, 2])
    assert merged.compute == pytest.approx([100.75, 300])
    assert merged.reward == pytest.approx([(0.2 + 1.5) / 4, 0.9])
    assert merged.weight == pytest.approx([4, 2])


def test_limits_are_percentiles_and_hold_the_value():
    draws = np.arange(1001) / 1000
    assert percentile_estimate(0.4, draws) == Estimate(0.4, pytest.approx(0.025), pytest.approx(0.975))
    assert percentile_estimate(2.0, draws).high == 2.0
    assert Estimate(0.4, float("nan"), 0.5).as_dict() == {"value": 0.4, "low": None, "high": 0.5}
