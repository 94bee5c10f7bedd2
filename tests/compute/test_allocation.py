"""The fit of n*(C): published constants are recovered, intervals cover, bounds are told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit, minimize
from scipy.stats import t

from hone.compute.allocation import fit_allocation, fitted_values
from hone.compute.published import published
from hone.core.errors import DataError

EASY = published("q1_easy").curve
TRUTH = {"L": EASY.L, "k": EASY.k, "log_midpoint": EASY.midpoint, "b": EASY.b}


def model(x, L, k, mid, b):
    return b + L / (1 + np.exp(-k * (x - mid)))


def drawn(rng, points=50, noise=0.3):
    compute = 10 ** rng.uniform(4.5, 7.5, points)
    return compute, 2 ** (EASY.log2_at(compute) + noise * rng.normal(size=points))


def test_intervals_cover_and_estimates_are_near():
    """200 sets of 50 points, log-uniform from 10^4.5 to 10^7.5 rollouts, noise 0.3 in log2 n."""
    rng = np.random.default_rng(0)
    covered = dict.fromkeys(TRUTH, 0)
    values = {name: [] for name in TRUTH}
    for _ in range(200):
        fit = fit_allocation(*drawn(rng))
        for name, truth in TRUTH.items():
            estimate = getattr(fit, name)
            covered[name] += estimate.low <= truth <= estimate.high
            values[name].append(estimate.value)
    assert min(covered.values()) >= 180, covered
    error = {name: np.median(np.abs(np.array(values[name]) / TRUTH[name] - 1)) for name in TRUTH}
    assert error["log_midpoint"] <= 0.01
    assert error["L"] <= 0.10


@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_the_best_of_a_general_solver(seed):
    compute, number = drawn(np.random.default_rng(seed))
    best, _ = curve_fit(model, np.log10(compute), np.log2(number), [5, 4, 6, 3])
    fit = fit_allocation(compute, number)
    curve = fit.curve
    assert (curve.L, curve.k, curve.midpoint, curve.b) == pytest.approx(tuple(best), rel=0.01)
    assert fit.rmse == pytest.approx(
        np.sqrt(np.mean((model(np.log10(compute), *best) - np.log2(number)) ** 2)), rel=1e-4
    )
    assert fitted_values(compute, number) == {name: getattr(fit, name).value for name in TRUTH}


def test_the_intervals_are_profile_likelihoods():
    compute, number = drawn(np.random.default_rng(5))
    x, y = np.log10(compute), np.log2(number)
    fit = fit_allocation(compute, number)
    allowed = len(x) * fit.rmse**2 * (1 + t.ppf(0.975, len(x) - 4) ** 2 / (len(x) - 4))
    start = [fit.L.value, fit.k.value, fit.log_midpoint.value, fit.b.value]
    for place, name in enumerate(TRUTH):
        for edge in (getattr(fit, name).low, getattr(fit, name).high):
            rest = [value for at, value in enumerate(start) if at != place]

            def loss(free, place=place, edge=edge):
                return ((y - model(x, *np.insert(free, place, edge))) ** 2).sum()

            options = {"maxiter": 4000, "xatol": 1e-7, "fatol": 1e-9}
            least = minimize(loss, rest, method="Nelder-Mead", options=options).fun
            # The loss is quadratic near its least, so 2% of the way to the limit is 4% of what is allowed there.
            assert least - len(x) * fit.rmse**2 == pytest.approx(allowed - len(x) * fit.rmse**2, rel=0.05)


@pytest.mark.parametrize("setting", ["q2_easy_n", "q2_easy_problems"])
def test_a_fixed_batch_is_fitted_in_steps(setting):
    curve = published(setting).curve
    steps = np.linspace(1, 700, 60)
    fit = fit_allocation(steps, curve.at(steps), against="steps", unit="steps")
    assert fit.curve.k * curve.k > 0
    assert pytest.approx(curve.L, rel=0.02) == fit.curve.L
    assert fit.curve.log2_at(steps) == pytest.approx(curve.log2_at(steps), abs=0.01)
    assert fit.k.low <= fit.curve.k <= fit.k.high


def test_a_step_is_called_a_step():
    compute = np.geomspace(1e4, 1e7, 40)
    fit = fit_allocation(compute, np.where(compute < 5e5, 8, 128))
    assert fit.step
    assert fit.as_dict()["k"] == "step"
    assert "a step, not a slope" in " ".join(fit.doubts)
    assert (fit.curve.b, fit.curve.L) == pytest.approx((3, 4), abs=0.05)
    assert fit.log_midpoint.value == pytest.approx(np.log10(5e5), abs=0.1)
    assert not fit_allocation(*drawn(np.random.default_rng(0))).step


def test_what_the_data_do_not_tell_is_doubted():
    compute = np.geomspace(1e4, 1e7, 40)
    assert "without a bend" in " ".join(fit_allocation(compute, compute**0.5).doubts)
    assert "does not change" in " ".join(fit_allocation(compute, np.full(40, 16.0)).doubts)


def test_the_number_at_a_budget_says_how_far_that_is():
    fit = fit_allocation(*drawn(np.random.default_rng(0)))
    number, beyond = fit.at(10 * fit.high)
    assert number == fit.curve.at(10 * fit.high)
    assert beyond == pytest.approx(10)


@pytest.mark.parametrize(
    ("compute", "number", "words"),
    [
        (np.geomspace(1, 9, 5), np.ones(5), "at least 6"),
        (np.geomspace(1, 9, 8), np.ones(7), "at least 6"),
        (np.full(8, 5.0), np.arange(1, 9), "equal"),
        (np.geomspace(1, 9, 8), np.zeros(8), "above 0"),
        (np.zeros(8), np.ones(8), "positive"),
    ],
)
def test_what_cannot_be_fitted_is_refused(compute, number, words):
    with pytest.raises(DataError, match=words):
        fit_allocation(compute, number)
