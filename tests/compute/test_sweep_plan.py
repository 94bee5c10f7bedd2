"""Plans from sweeps with a known best group: found, predicted, converted, and refused too far out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hone.compute import plan
from hone.compute.frontier import frontier
from hone.compute.learning_rate import Anchor
from hone.compute.reward_curve import MAX_EXTRAPOLATION
from hone.compute.rollout_cost import Budget
from hone.compute.series import Series
from hone.compute.sweep_plan import series_unit
from hone.core.errors import DataError, RecipeError

CURVES = {4: (0.35, 1500.0), 16: (0.55, 4000.0), 64: (0.8, 12000.0)}  # asymptote and compute at half way
SPENT = 16_384


def truth(n: int, rollouts: np.ndarray | float) -> np.ndarray:
    """Reward of groups of n: small ones rise early, large ones further."""
    top, mid = CURVES[n]
    with np.errstate(divide="ignore"):
        return 0.1 + (top - 0.1) / (1 + (mid / np.asarray(rollouts, dtype=float)) ** 1.5)


def series(
    n: int, problems: int, seed: int, noise: float = 0.01, unit: str = "rollouts", each: float = 1.0
) -> Series:
    rollouts = np.arange(0, SPENT, n * problems, dtype=float)
    rng = np.random.default_rng([n, problems, seed])
    reward = np.clip(truth(n, rollouts) + noise * rng.normal(size=len(rollouts)), 0, 1)
    cell = f"num_generations={n},problems_per_step={problems}"
    rate = 2e-4 * (n * problems / 512) ** 0.5
    counts = np.full(len(rollouts), problems)
    return Series(cell, seed, n, problems, rate, unit, "pass@1", rollouts * each, reward, counts)


def made(budget: Budget, **settings: object):
    return plan(budget, resamples=20, **settings)


def sweep(**settings: object) -> list[Series]:
    return [series(n, p, s, **settings) for n in CURVES for p in (16, 32) for s in range(2)]


@cache
def usual(rollouts: float):
    """The plan for a budget of rollouts, made once."""
    return made(Budget(rollouts), sweep=sweep())


@pytest.mark.parametrize(("rollouts", "best"), [(1500, 4), (16_384, 64), (40_000, 64)])
def test_the_best_group_of_each_budget_is_found_and_its_reward_predicted(rollouts, best):
    found = usual(rollouts)
    assert (found.basis, found.num_generations) == ("sweep", best)
    assert found.problems_per_step in (16, 32)
    assert found.rollouts <= rollouts
    assert found.rollouts > rollouts - found.num_generations * found.problems_per_step
    assert found.expected is not None
    assert found.expected.value == pytest.approx(float(truth(best, rollouts)), abs=0.04)
    assert found.expected.low <= found.expected.value <= found.expected.high
    step = found.num_generations * found.problems_per_step
    assert found.learning_rate == pytest.approx(2e-4 * (step / 512) ** 0.5, rel=1e-5)
    assert found.between == (best, best)
    assert any("extrapolated" in text for text in found.sure) == (rollouts > SPENT)


def test_a_far_extrapolation_needs_to_be_asked_for():
    far = SPENT * (MAX_EXTRAPOLATION + 1)
    with pytest.raises(DataError, match="No run of the sweep reaches"):
        made(Budget(far), sweep=sweep())
    found = made(Budget(far), sweep=sweep(), max_extrapolation=6)
    assert any("extrapolation by 5.0 times" in text for text in found.warnings)


def late_riser(n: int, problems: int, seed: int) -> Series:
    """Groups of 4 are ahead at every measured budget; eight readings of those of 64 rise ever more steeply."""
    run, rng = series(n, problems, seed), np.random.default_rng([n, seed])
    height, bend, noise = (0.2, 0.5, 0.02) if n == 4 else (0.185, 1.0, 0.005)
    mean = 0.14 + height * (run.compute / SPENT) ** bend
    return replace(run, reward=np.clip(mean + noise * rng.normal(size=len(mean)), 0, 1))


def test_beyond_the_runs_a_choice_that_is_not_told_stays_where_it_was_told():
    runs = [late_riser(n, p, s) for n, p in ((4, 16), (64, 32)) for s in range(3)]
    within, beyond = (made(Budget(rollouts), sweep=runs) for rollouts in (SPENT, 4 * SPENT - 1))
    assert (within.num_generations, within.between) == (4, (4, 4))
    assert (
        frontier(runs, resamples=20).at(4 * SPENT - 1, max_extrapolation=4).curve == 1
    )  # 64 is the highest there
    assert (beyond.num_generations, beyond.between) == (4, None)
    assert any("none is known to be higher" in text for text in beyond.why)


def test_what_the_sweep_cannot_tell_is_said():
    same = [
        replace(run, reward=np.clip(0.3 + 0.1 * np.sin(np.arange(len(run.compute))), 0, 1)) for run in sweep()
    ]
    found = made(Budget(8000), sweep=same)
    assert found.between is None
    assert any("not identified" in text for text in found.sure)


def test_another_unit_is_converted_by_what_the_runs_took():
    seconds = sweep(unit="seconds", each=0.5)
    found = made(Budget(1, "hours"), sweep=seconds, in_rollouts=sweep())
    assert series_unit(Budget(1, "hours")) == ("seconds", 3600)
    assert 7200 - found.num_generations * found.problems_per_step < found.rollouts <= 7200
    assert "1 hours are 7,200 rollouts" in found.why[0]
    with pytest.raises(DataError, match="the runs in rollouts as well"):
        made(Budget(1, "hours"), sweep=seconds)
    with pytest.raises(DataError, match="were read as pass@1 against seconds"):
        made(Budget(1e4), sweep=seconds, in_rollouts=sweep())
    with pytest.raises(DataError, match="Read them as worst@4 against rollouts"):
        made(Budget(1e4), sweep=sweep(), target="worst@4")


def test_a_fixed_batch_takes_its_runs_alone():
    runs = [series(n, 256 // n, seed) for n in (4, 64) for seed in range(2)] + sweep()
    found = made(Budget(16_384), sweep=runs, batch=256)
    assert (found.num_generations, found.problems_per_step, found.steps) == (64, 4, 64)
    with pytest.raises(DataError, match="runs of 100 rollouts a step with 0 different"):
        made(Budget(16_384), sweep=runs, batch=100)


def test_the_rows_follow_the_budget():
    rows = usual(16_384).frontier
    assert [row.num_generations for row in rows] == sorted(row.num_generations for row in rows)
    assert rows[0].num_generations == 4
    assert rows[-1].num_generations == 64
    assert rows[-1].compute == pytest.approx(SPENT, rel=0.01)


def test_a_plan_needs_something_to_rest_on():
    with pytest.raises(RecipeError, match="needs a sweep, or a measured base model"):
        made(Budget(1e4), anchor=Anchor(1e-4, 64))
