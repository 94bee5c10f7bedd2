"""Each guard as a pure function: what trips it and what does not."""

from __future__ import annotations

import math

import pytest

from hone.core.guards import Guards
from hone.training.guards import checks
from hone.training.guards.checks import Setting
from hone.training.guards.readings import Past, Readings

GUARDS = Guards()
SETTING = Setting(vocabulary=100, max_grad_norm=1.0)
NORMS = [0.2, 0.3, 0.25] * 4


def says(name: str, now: Readings, past: Past | None = None, **keys) -> str | None:
    guard = getattr(GUARDS, name).model_copy(update=keys)
    table = {**checks.OF_ROLLOUTS, **checks.OF_UPDATES}
    return table[name](now, past or Past(), guard, SETTING)


def test_every_guard_of_the_recipe_is_looked_at():
    named = {name for name, field in Guards.model_fields.items() if field.annotation is not int}
    assert named == set(checks.OF_ROLLOUTS) | set(checks.OF_UPDATES)


def test_a_look_without_numbers_trips_nothing():
    for name in (*checks.OF_ROLLOUTS, *checks.OF_UPDATES):
        assert says(name, Readings()) is None


@pytest.mark.parametrize("norm", [math.nan, math.inf, 0.5])
def test_nan(norm):
    assert "not finite" in says("nan", Readings(finite=False, grad_norm=norm))
    assert says("nan", Readings(finite=True, grad_norm=norm)) is None


@pytest.mark.parametrize(
    ("norm", "past", "trips"),
    [
        (2e6, [], True),  # above the absolute limit, whatever was before
        (9e5, [], False),
        (9e5, NORMS[:9], False),  # nine updates are no median yet
        (9.0, NORMS, True),
        (7.0, NORMS, False),  # 28 times the median
        (0.9, [0.001] * 12, False),  # 900 times the median, but not clipped
        (1.1, [0.001] * 12, True),
        (math.nan, NORMS, False),  # the nan guard's
        (math.inf, NORMS, False),
    ],
)
def test_gradient(norm, past, trips):
    assert bool(says("gradient", Readings(grad_norm=norm), Past(grad_norms=past))) is trips


@pytest.mark.parametrize(("norm", "trips"), [(9.0, False), (12.5, True)])
def test_a_gradient_that_the_run_has_had_before_is_no_fault(norm, trips):
    past = Past(grad_norms=NORMS, highest_grad_norm=12.0)
    assert bool(says("gradient", Readings(grad_norm=norm), past)) is trips


@pytest.mark.parametrize(
    ("k3", "gap", "trips"),
    [(0.2, 0.5, True), (0.01, 11.0, True), (0.05, 9.0, False), (None, None, False)],
)
def test_mismatch(k3, gap, trips):
    assert bool(says("mismatch", Readings(mismatch_k3=k3, mismatch_max=gap))) is trips


def test_entropy_low():
    assert "collapsed" in says("entropy_low", Readings(entropy=0.004))
    assert says("entropy_low", Readings(entropy=0.005)) is None


@pytest.mark.parametrize(
    ("began", "now", "trips"),
    [
        (0.7, 2.2, True),
        (0.7, 2.0, False),  # not three times
        (0.2, 1.3, False),  # 6.5 times, but less than 0.3 ln(100) = 1.38
        (4.6, 4.605, False),  # a fresh model
        (None, 4.6, False),  # the first step
    ],
)
def test_entropy_high(began, now, trips):
    assert bool(says("entropy_high", Readings(entropy=now), Past(entropy=began))) is trips


def test_repetition():
    assert says("repetition", Readings(repetition=0.2)) is not None
    assert says("repetition", Readings(repetition=0.19)) is None


def test_constant_rewards():
    assert says("constant_rewards", Readings(constant=1.0)) is not None
    assert says("constant_rewards", Readings(constant=0.99)) is None
    assert says("constant_rewards", Readings(constant=0.6), share=0.5) is not None


def steps(count: int, length=10.0, reward: float | None = 0.5, truncated=0.0, linked: float | None = 0.1):
    return [[length, reward, truncated, linked]] * count


@pytest.mark.parametrize(
    ("earlier", "later", "word"),
    [
        (steps(3), steps(3, length=16.0), "grew from 10.0 to 16.0"),
        (steps(3), steps(3, length=16.0, reward=0.6), None),  # longer and better
        (steps(3), steps(3, length=14.0), None),
        (steps(3), steps(3, length=16.0, reward=0.4), "grew"),
        (steps(3), steps(3, truncated=0.4), "limit cuts"),
        (steps(3), steps(3, truncated=0.4, reward=0.6), None),
        (steps(3, truncated=0.9), steps(3, truncated=1.0), None),  # an untrained model is cut from the start
        (steps(3), steps(3, linked=0.95, reward=0.9), "correlation of 0.95"),
        (steps(3), [*steps(1), *steps(2, linked=0.95)], None),  # 0.67 in the mean
        (steps(3), steps(3, linked=None), None),
        (steps(3, reward=None), steps(3, length=16.0, reward=None), None),
        (steps(2), steps(3, length=16.0), None),  # one step short of both windows
    ],
)
def test_length(earlier, later, word):
    *rows, last = [*earlier, *later]
    now = Readings(**dict(zip(("length", "reward", "truncated", "length_reward"), last)))
    found = says("length", now, Past(lengths=rows), window=3)
    assert (found is None) if word is None else (word in found)
