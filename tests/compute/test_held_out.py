"""Held-out errors of curves: the true family predicts within its noise, another one does not."""

from __future__ import annotations

import numpy as np
import pytest

from hone.compute.held_out import hold_out
from hone.compute.scatter import scatter
from hone.compute.series import Series
from hone.core.errors import DataError


def run(seed, compute, problems=400, rollouts=1):
    """Readings of a sigmoid to 0.7 with C_mid 2,000 and B 2."""
    rng = np.random.default_rng(seed)
    truth = 0.1 + 0.6 / (1 + (2_000 / np.maximum(compute, 1e-9)) ** 2.0)
    reward = rng.binomial(problems * rollouts, truth) / (problems * rollouts)
    return Series(
        cell="a", seed=seed, num_generations=4, problems_per_step=problems, learning_rate=1e-4, unit="rollouts",
        metric="pass@1", compute=compute, reward=reward, problems=np.full(len(compute), problems),
    )  # fmt: skip


COMPUTE = np.linspace(0, 16_000, 81)


@pytest.mark.parametrize("early", [True, False])
def test_a_sigmoid_predicts_a_sigmoid_within_its_noise(early):
    found = hold_out([run(seed, COMPUTE) for seed in range(3)], "scalerl", early=early)
    assert (found.fitted_from, found.fitted_to) == (0.0 if early else 1_000.0, 8_000.0)
    assert (found.fitted, found.held) == (3 * (41 if early else 36), 3 * 40)
    assert abs(found.bias) < 0.01
    assert abs(found.end) < 0.015
    assert found.rmse == pytest.approx(found.noise, rel=0.25)
    assert found.as_dict()["form"] == "scalerl"


def test_a_power_law_goes_on_rising():
    runs = [run(seed, COMPUTE) for seed in range(3)]
    power, true = (hold_out(runs, form, early=False) for form in ("power", "scalerl"))
    assert power.end > 0.03 > abs(true.end)
    assert power.rmse > 1.5 * power.noise


def test_halves_without_readings_are_refused():
    with pytest.raises(DataError, match="half of the compute has no reading"):
        hold_out([run(0, np.array([6_000.0, 7_000.0, 8_000.0]))], "scalerl", r0=0.1)


def test_many_rollouts_of_a_problem_scatter_less():
    flat = np.full(400, 0.5)
    rng = np.random.default_rng(0)
    assert scatter(rng.binomial(20, flat) / 20, flat, np.full(400, 20)) == pytest.approx(1, abs=0.2)
    assert scatter(rng.binomial(200, flat) / 200, flat, np.full(400, 20)) == pytest.approx(0.1, abs=0.02)
