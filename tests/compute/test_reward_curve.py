"""Reward curves: the published protocol done slowly, free fits by a general solver, and what a fit refuses to say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import OptimizeWarning, curve_fit, least_squares

from hone.compute.curve_search import midpoints
from hone.compute.pooling import pool
from hone.compute.reward_curve import fit_reward_curve
from hone.core.errors import DataError
from synthetic import sigmoid

# Fitted constants of ScaleRL (GPU-hours): batch 2048, and the main run.
LARGE_BATCH = {"A": 0.645, "B": 1.70, "C_mid": 10909.0, "R0": 0.2}
MAIN = {"A": 0.610, "B": 1.92, "C_mid": 2542.0, "R0": 0.2}


def readings(truth, *, end=50_000, seed=0, samples=16_000, every=500):
    compute = np.arange(0, end + 1, every).astype(float)
    rng = np.random.default_rng(seed)
    return compute, rng.binomial(samples, sigmoid(compute, **truth)) / samples


def slow_cell(compute, reward, r0, a, mid):
    """ScaleRL's step for one cell of its grid: B alone, by curve_fit from its own start."""

    def curve(c, b):
        return r0 + (a - r0) / (1 + (mid / c) ** b)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        (b,), _ = curve_fit(curve, compute, reward, bounds=(1e-6, np.inf))
    return float(((reward - curve(compute, b)) ** 2).sum()), float(b)


@pytest.mark.parametrize(("truth", "seed"), [(LARGE_BATCH, 0), ({**MAIN, "A": 0.5, "B": 0.9}, 2)])
def test_the_grid_fit_is_the_protocol_done_slowly(truth, seed):
    compute, reward = readings(truth, seed=seed, samples=500, every=2000)
    used = compute >= 1500
    fit = fit_reward_curve(compute, reward, unit="seconds", min_compute=1500)
    merged = pool(compute[used], reward[used], np.ones(used.sum()))
    mids = midpoints(merged.compute)
    at = int(np.argmin(np.abs(mids - fit.C_mid)))
    assert fit.C_mid == pytest.approx(mids[at])
    own, efficiency = slow_cell(merged.compute, merged.reward, fit.R0, fit.A, fit.C_mid)
    assert pytest.approx(efficiency, rel=0.01) == fit.B
    # Around the cell that was found, and far from it, no cell of the slow protocol is better.
    near = [(fit.A + 0.005 * i, mids[at + j]) for i in range(-3, 4) for j in range(-2, 3)]
    far = [(a, mid) for a in (0.45, 0.55, 0.7, 0.8) for mid in mids[20::25]]
    assert min(slow_cell(merged.compute, merged.reward, fit.R0, *cell)[0] for cell in near + far) >= own * (
        1 - 1e-4
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_free_sigmoid_is_the_best_of_a_general_solver(seed):
    compute, reward = readings(LARGE_BATCH, seed=seed, samples=300, every=1000)
    merged = pool(compute, reward, np.ones(len(compute)))

    def residuals(x):
        start, end, log_mid, log_b = x
        return np.sqrt(merged.weight) * (
            sigmoid(merged.compute, end, np.exp(log_b), np.exp(log_mid), start) - merged.reward
        )

    guesses = [(0.2, 0.6, np.log(mid), np.log(b)) for mid in (3e3, 1e4, 4e4) for b in (0.8, 2.0)]
    best = min((least_squares(residuals, guess) for guess in guesses), key=lambda found: found.cost)
    fit = fit_reward_curve(compute, reward, unit="seconds", form="sigmoid")
    assert fit.rmse**2 * merged.weight.sum() <= 2 * best.cost * (1 + 1e-4)
    assert (fit.R0, fit.A, np.log(fit.C_mid), np.log(fit.B)) == pytest.approx(tuple(best.x), abs=0.01)


def test_the_power_law_is_the_best_of_a_general_solver():
    compute = np.arange(1, 60) * 100.0
    reward = 0.7 - 3.0 / compute**0.4 + 0.01 * np.random.default_rng(0).normal(size=59)
    fit = fit_reward_curve(compute, reward, unit="flops", form="power")
    merged = pool(compute, reward, np.ones(59))
    best, _ = curve_fit(
        lambda c, a, b, d: a - d / c**b,
        merged.compute,
        merged.reward,
        [0.6, 0.5, 2.0],
        sigma=merged.weight**-0.5,
    )
    assert pytest.approx(best[:2], abs=0.01) == (fit.A, fit.B)
    assert pytest.approx(best[2], rel=0.05) == fit.D
    assert np.isnan([fit.C_mid, fit.R0]).all()
    assert fit.reward_at(compute) == pytest.approx(best[0] - best[2] / compute ** best[1], abs=1e-3)


@pytest.mark.parametrize("truth", [LARGE_BATCH, MAIN])
@pytest.mark.parametrize("seed", range(3))
def test_the_first_half_tells_the_asymptote_and_a_power_law_does_not(truth, seed):
    """ScaleRL's claim: readings of 1,000 problems x 16, the first half of 100k GPU-hours."""
    compute, reward = readings(truth, seed=seed)
    assert pytest.approx(truth["A"], abs=0.02) == fit_reward_curve(compute, reward, unit="seconds").A
    assert truth["A"] + 0.04 < fit_reward_curve(compute, reward, unit="seconds", form="power").A


def test_without_early_points_a_saturated_curve_is_told_by_a_power_law_too():
    # The claim needs the rise: on what is left of a curve that is flat at the end, both are right.
    compute, reward = readings(MAIN)
    late = fit_reward_curve(compute, reward, unit="seconds", form="power", min_compute=1500)
    assert pytest.approx(MAIN["A"], abs=0.02) == late.A


def test_predictions_say_how_far_they_go_and_refuse_too_far():
    compute, reward = readings(MAIN)
    fit = fit_reward_curve(compute, reward, unit="price")
    assert (fit.unit, fit.max_compute) == ("price", 50_000)
    near, far = fit.predict(25_000), fit.predict(100_000)
    assert (near.extrapolation, far.extrapolation) == (0.5, 2.0)
    assert far.reward == pytest.approx(sigmoid(1e5, **MAIN), abs=0.01)
    with pytest.raises(DataError, match="5 times beyond the data, which end at 50000"):
        fit.predict(250_000)
    assert fit.predict(250_000, max_extrapolation=10).extrapolation == 5
    with pytest.raises(DataError, match="positive compute"):
        fit.predict(0)


def test_what_the_data_do_not_tell_is_doubted():
    def doubts(truth, **options):
        return " ".join(fit_reward_curve(*readings(truth), unit="seconds", **options).doubts)

    assert doubts(MAIN) == ""
    assert "before C_mid" in doubts({**MAIN, "C_mid": 150_000})
    assert "does not rise" in doubts({**MAIN, "A": 0.1})
    assert "upper edge of its grid, 1" in doubts({**MAIN, "A": 1.4, "C_mid": 40_000, "B": 0.7})
    assert "upper edge" not in doubts({**MAIN, "A": 1.0, "C_mid": 2000, "B": 2.5})
    assert "a step" in doubts({**MAIN, "B": 60.0, "C_mid": 9000}, form="sigmoid")
    assert "before the first reading" in doubts({**MAIN, "C_mid": 200.0}, min_compute=2000.0)


def test_a_start_read_from_few_problems_is_doubted_and_can_be_given_or_fitted():
    compute, reward = readings(MAIN)
    few = np.full(len(compute), 8)
    assert "R0 was read from 8 problems" in " ".join(
        fit_reward_curve(compute, reward, unit="seconds", problems=few).doubts
    )
    assert fit_reward_curve(compute, reward, unit="seconds", problems=few, r0=0.2).R0 == 0.2
    fitted = fit_reward_curve(compute, reward, unit="seconds", problems=few, r0="fit")
    assert fitted.identified
    assert pytest.approx(0.2, abs=0.02) == fitted.R0
    many = fit_reward_curve(compute, reward, unit="seconds", problems=few * 1000)
    assert many.identified
    assert reward[0] == many.R0


def test_problems_are_weights():
    compute, reward = readings(MAIN)
    wrong = reward.copy()
    wrong[::2] = 0.9
    weight = np.where(np.arange(len(wrong)) % 2 == 0, 1e-9, 1.0)
    fit = fit_reward_curve(compute, wrong, unit="seconds", r0=0.2, problems=weight)
    assert pytest.approx(0.61, abs=0.01) == fit.A


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"min_compute": 1e6}, "needs 5"),
        ({"problems": [1, 2]}, "problems"),
        ({"r0": 1.5}, "pass rate"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments, words):
    with pytest.raises(DataError, match=words):
        fit_reward_curve(*readings(MAIN), unit="seconds", **arguments)


def test_the_initial_reward_must_come_from_somewhere():
    compute, reward = readings(MAIN)
    with pytest.raises(DataError, match="compute 0"):
        fit_reward_curve(compute[1:], reward[1:], unit="seconds")
