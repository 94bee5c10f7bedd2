"""Redrawn runs: the first row is what was read, the rest scatter as the noise does, and intervals hold the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hone.compute.bootstrap import redraw
from hone.compute.pooling import pool
from hone.compute.recipe_curve import fit_recipe
from hone.compute.reward_curve import fit_reward_curve
from hone.core.errors import DataError
from synthetic import run, sigmoid

SHORT = {"total": 4096, "problems": 32, "C_mid": 600.0}


def rows(series, **options):
    given = {"form": "sigmoid", "r0": None, "noise": "binomial", "resamples": 50, "seed": 0}
    return redraw(series, **{**given, **options})


def test_row_0_is_the_pooled_readings():
    runs = [run(seed=seed, **SHORT) for seed in range(3)]
    pooled = pool(
        *(np.concatenate([getattr(one, name) for one in runs]) for name in ("compute", "reward", "problems"))
    )
    drawn = rows(runs)
    assert np.allclose(drawn.compute, pooled.compute)
    assert np.allclose(drawn.reward[0], pooled.reward)
    assert np.allclose(drawn.weight[0], pooled.weight)
    assert drawn.seeds == 3


@pytest.mark.parametrize("noise", ["binomial", "residual"])
def test_one_run_is_redrawn_around_its_own_curve_with_its_own_noise(noise):
    one = run(**SHORT)
    fit = fit_reward_curve(one.compute, one.reward, unit="rollouts", form="sigmoid", problems=one.problems)
    drawn = rows([one], noise=noise, resamples=3000)
    merged = pool(one.compute, fit.reward_at(one.compute), one.problems)
    spread = np.sqrt(merged.reward * (1 - merged.reward) / merged.weight)
    assert (
        np.abs((drawn.reward[1:].mean(axis=0) - merged.reward) / spread).max() < 0.5
    )  # residuals have a mean
    ratio = drawn.reward[1:].std(axis=0) / spread
    assert ratio.mean() == pytest.approx(1.0, abs=0.05 if noise == "binomial" else 0.25)
    assert np.array_equal(drawn.weight[1:], np.broadcast_to(drawn.weight[0], drawn.weight[1:].shape))
    assert "not seeds" in drawn.how


def test_seeds_are_picked_within_cells():
    # Two noiseless levels in one cell: a row is made of 0, 1 or 2 of each. The other cell has one run, always there.
    low, high = (run(noisy=False, seed=s, A=a, R0=a - 0.001, **SHORT) for s, a in ((0, 0.2), (1, 0.8)))
    other = run(noisy=False, A=0.5, R0=0.499, cell="other", **SHORT)
    reward = rows([low, high, other], noise="residual", resamples=400).reward[1:, -1]
    levels, counts = np.unique(reward.round(2), return_counts=True)
    assert levels == pytest.approx([0.3, 0.5, 0.7])
    assert counts / 400 == pytest.approx([0.25, 0.5, 0.25], abs=0.08)


def test_a_seed_gives_the_same_limits_and_another_one_others():
    runs = [run(seed=seed, **SHORT) for seed in range(2)]
    first, again, other = (fit_recipe(runs, r0="fit", resamples=60, seed=seed) for seed in (1, 1, 2))
    assert (first.A, first.B) == (again.A, again.B)
    assert first.A.low != other.A.low or first.A.high != other.A.high
    assert first.A.value == other.A.value


def test_two_recipes_do_not_share_their_noise():
    one, two = (rows([run(cell=cell, **SHORT)]).reward[1:, 5] for cell in ("a", "b"))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.5


def test_intervals_of_a_prediction_hold_the_truth():
    """12 recipes of three seeds; 95% limits of the reward at twice the data miss it at most 3 times."""
    truth = {"A": 0.6, "B": 1.3, "C_mid": 800.0, "R0": 0.1}
    missed = 0
    for draw in range(12):
        runs = [run(seed=100 * draw + s, total=4096, problems=64, **truth) for s in range(3)]
        reward = fit_recipe(runs, form="sigmoid", resamples=40).predict(8192).reward
        missed += not reward.low <= sigmoid(8192, **truth) <= reward.high
    assert missed <= 3


def test_a_recipe_tells_its_fit_and_where_its_limits_are_from():
    runs = [run(seed=seed, **SHORT) for seed in range(2)]
    curve = fit_recipe(runs, r0="fit", resamples=40)
    told = curve.as_dict()
    assert told["unit"] == "rollouts"
    assert told["A"]["low"] <= told["A"]["value"] <= told["A"]["high"]
    assert "2 or more seeds" in told["resampled"]
    assert curve.reach == 4096
    assert curve.rewards_at([100.0, 1000.0]).shape == (41, 2)
    assert curve.rewards_at(1000.0)[0] == pytest.approx(curve.fit.reward_at(1000.0))
    with pytest.raises(DataError, match="beyond the data"):
        curve.predict(1e6)
    power = fit_recipe(runs, form="power", resamples=40)
    assert power.as_dict()["C_mid"] == {"value": None, "low": None, "high": None}
    assert power.rewards_at(1000.0)[0] == pytest.approx(power.fit.reward_at(1000.0))


def test_an_initial_reading_is_redrawn_with_the_rest():
    curve = fit_recipe([run(**SHORT)], resamples=60)
    assert curve.R0.low < curve.R0.value < curve.R0.high
    assert "R0 was read from 32 problems" in " ".join(curve.fit.doubts)
    fixed = fit_recipe([run(**SHORT)], r0=0.1, resamples=60)
    assert (fixed.R0.low, fixed.R0.value, fixed.R0.high) == (0.1, 0.1, 0.1)


def test_a_fit_that_other_draws_would_not_identify_is_doubted():
    # One noisy run that ends where it has hardly bent: its own C_mid is within the data, that of many draws not.
    noisy = fit_recipe(
        [run(seed=0, problems=8, total=8192, C_mid=2000.0, B=1.0)], form="sigmoid", resamples=60
    )
    beyond = (noisy.found.mid[1:] > noisy.fit.max_compute).mean()
    assert noisy.fit.C_mid < noisy.fit.max_compute
    assert beyond > 0.05
    assert f"in {100 * beyond:.0f}% of the redrawn data" in noisy.fit.doubts[0]
    clear = fit_recipe(
        [run(seed=seed, total=16384, problems=32, C_mid=800.0) for seed in range(3)],
        form="sigmoid",
        resamples=60,
    )
    assert clear.fit.identified


def test_runs_in_other_units_are_not_one_recipe():
    with pytest.raises(DataError, match="differ in unit"):
        fit_recipe([run(**SHORT), replace(run(seed=1, **SHORT), unit="seconds")])
