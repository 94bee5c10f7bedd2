"""Intervals: textbook numbers, coverage by simulation, reproducibility, the rule at the boundary."""

from __future__ import annotations

import numpy as np
import pytest

from hone.core.errors import DataError, RecipeError
from hone.evals import cluster_bootstrap, mean_interval, paired_difference, t_interval, wilson


def test_wilson_textbook():
    value, low, high = wilson(8, 10)
    assert value == 0.8
    assert low == pytest.approx(0.4901624715)
    assert high == pytest.approx(0.9433178485)
    assert wilson(0, 20)[:2] == (0, 0)
    assert wilson(0, 20).high == pytest.approx(0.1611251625)
    assert wilson(20, 20).low == pytest.approx(1 - 0.1611251625)
    assert wilson(20, 20).high == 1


def test_t_interval_textbook():
    value, low, high = t_interval([1.0, 2.0, 3.0, 4.0])
    assert value == 2.5
    half = 3.182446305 * np.std([1, 2, 3, 4], ddof=1) / 2
    assert (low, high) == pytest.approx((2.5 - half, 2.5 + half))


def test_bootstrap_is_reproducible_and_near_the_normal_interval():
    rates = np.random.default_rng(0).beta(2, 3, size=400)
    first, again, other = (cluster_bootstrap(rates, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other
    half = 1.96 * rates.std() / 20
    assert (first.low, first.high) == pytest.approx(
        (rates.mean() - half, rates.mean() + half), abs=0.1 * half
    )
    both = cluster_bootstrap(np.stack([rates, 1 - rates], axis=1), seed=1)
    assert both.low[0] == pytest.approx(first.low)
    assert both.high[1] == pytest.approx(1 - first.low)


def test_bootstrap_coverage():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(300):
        rates = rng.binomial(4, rng.beta(1, 2, size=60)) / 4
        interval = cluster_bootstrap(rates, resamples=400, seed=trial)
        hits += interval.low <= 1 / 3 <= interval.high
    assert 0.90 <= hits / 300 <= 0.98


def test_wilson_takes_over_at_the_boundary():
    assert mean_interval(np.zeros(50)) == wilson(0, 50)
    assert mean_interval(np.ones(50)) == wilson(50, 50)
    few = np.zeros(50)
    few[:4] = 1
    assert mean_interval(few) == wilson(4, 50)
    few[:6] = 1
    assert mean_interval(few, seed=4) == cluster_bootstrap(few, seed=4)


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(0)
    hardness = rng.uniform(size=100)
    a, b = hardness + 0.02 + 0.01 * rng.normal(size=100), hardness
    difference = paired_difference(a, b, over="problems")
    assert 0 < difference.low < difference.value < difference.high
    assert difference.high - difference.low < 0.1 * (cluster_bootstrap(a).high - cluster_bootstrap(a).low)
    assert paired_difference(a[:8], b[:8], over="seeds") == t_interval(a[:8] - b[:8])


def test_refusals():
    with pytest.raises(DataError, match="two seeds"):
        t_interval([1.0])
    with pytest.raises(DataError, match="not finite"):
        cluster_bootstrap([0.5, float("nan")])
    with pytest.raises(DataError, match="per problem"):
        mean_interval([0.5, 1.5])
    with pytest.raises(DataError, match="Paired"):
        paired_difference([1.0], [1.0, 2.0], over="seeds")
    with pytest.raises(DataError, match="trials"):
        wilson(3, 2)
    with pytest.raises(RecipeError, match="over"):
        paired_difference([1.0, 2.0], [1.0, 2.0], over="runs")
    with pytest.raises(RecipeError, match="confidence"):
        t_interval([1.0, 2.0], 95)
