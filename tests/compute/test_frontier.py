"""The frontier of a sweep: against a slow envelope, and nothing claimed that was not measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hone.compute.envelope import geometric_average
from hone.compute.frontier import frontier
from hone.core.errors import DataError
from synthetic import run

LAWS = {4: {"A": 0.4, "C_mid": 500.0}, 16: {"A": 0.55, "C_mid": 1500.0}, 64: {"A": 0.7, "C_mid": 4000.0}}


def sweep(totals=None, seeds=2, batches=(8, 32)):
    return [
        run(n=n, problems=problems, seed=seed, total=(totals or {}).get(n, 16384), **law)
        for n, law in LAWS.items()
        for problems in batches
        for seed in range(seeds)
    ]


@pytest.fixture(scope="module")
def pooled():
    return frontier(sweep(), points=24, resamples=60)


@pytest.fixture(scope="module")
def cells():
    return frontier(sweep(), others="best", points=16, resamples=30)


def test_more_generations_win_at_larger_budgets(pooled):
    track = pooled.best()
    assert (pooled.num_generations == [4, 16, 64]).all()
    assert np.isnan(pooled.problems_per_step).all()
    assert track.value[0] == 4
    assert track.value[-1] == 64
    assert (np.diff(track.value) >= 0).all()
    assert pooled.compute[0] == 512  # the first compute at which n = 64 has a reading
    assert pooled.compute[-1] == pytest.approx(16384)


def test_envelope_and_limits_are_those_of_a_slow_loop(pooled):
    track, envelope = pooled.best(), pooled.envelope
    rows = [curve.rewards_at(pooled.compute) for curve in pooled.curves]
    for at in range(24):
        winners = []
        for row in range(61):
            rewards = [one[row, at] for one in rows]
            winners.append((4, 16, 64)[int(np.argmax(rewards))])
            if row == 0:
                ordered = sorted(rewards)
                assert envelope.reward[at] == pytest.approx(ordered[-1])
                assert envelope.gap[at] == pytest.approx(ordered[-1] - ordered[-2])
        assert track.value[at] == winners[0]
        # 95%: of 60 sorted draws the 2nd and the 59th, widened to hold the value.
        ranked = sorted(winners[1:])
        assert track.low[at] == min(ranked[1], winners[0])
        assert track.high[at] == max(ranked[58], winners[0])
        assert track.identified[at] == (track.low[at] > 4 or track.high[at] < 64)


def test_the_raw_frontier_is_that_of_all_readings(pooled):
    runs = sweep()
    for budget in (100.0, 3000.0, 16384.0):
        best = max(run.reward[run.compute <= budget].max() for run in runs)
        assert pooled.raw.at(budget) == best


def test_equal_recipes_have_no_best_value():
    runs = [run(n=n, seed=10 * n + seed, C_mid=1500.0) for n in (4, 16, 64) for seed in range(2)]
    track = frontier(runs, points=12, resamples=60).best()
    assert not track.identified.all()
    unsure = ~track.identified
    assert (track.low[unsure] == 4).all()
    assert (track.high[unsure] == 64).all()


def test_a_value_counts_only_as_far_as_it_was_measured():
    short = frontier(sweep({64: 6144}), points=24, resamples=20)
    beyond = short.compute > 6144
    assert not short.envelope.candidates[2, beyond].any()
    assert (short.best().value[beyond] <= 16).all()
    assert short.at(16000, max_extrapolation=3.0).envelope.candidates.all()
    point = short.at(6144 * 2.9, max_extrapolation=3.0)
    assert point.extrapolation == pytest.approx(6144 * 2.9 / short.curves[point.curve].reach)
    further = frontier(sweep({64: 6144}), points=24, resamples=20, max_extrapolation=3.0)
    assert further.compute[-1] == pytest.approx(3 * 16384)
    assert further.envelope.candidates[2].sum() == (further.compute <= 3 * 6144).sum()
    assert short.at(16000).track.value[0] == 16
    with pytest.raises(DataError, match="No run of the sweep reaches 1e\\+06 rollouts; they end at 16384"):
        short.at(1e6)


def test_one_value_alone_is_not_identified():
    only = frontier(sweep({16: 4096, 64: 4096}), points=24, resamples=20).best()
    assert not only.identified[-1]
    assert only.value[-1] == 4


def test_cells_give_problems_and_steps_too(cells):
    n, problems, steps = (cells.best(key) for key in ("num_generations", "problems_per_step", "steps"))
    assert set(np.unique(problems.value)) <= {8, 32}
    assert steps.value == pytest.approx(cells.compute / (n.value * problems.value))
    assert n.value[-1] == 64
    assert (steps.low <= steps.value).all()
    assert (steps.value <= steps.high).all()


def test_what_was_pooled_is_not_told(pooled):
    with pytest.raises(DataError, match='by="problems_per_step"'):
        pooled.best("problems_per_step")
    with pytest.raises(DataError, match='others="best"'):
        pooled.best("steps")
    with pytest.raises(DataError, match="one num_generations x problems_per_step"):
        pooled.allocation(against="steps")


def test_the_frontier_by_problems_pools_generations():
    by_problems = frontier(sweep(), by="problems_per_step", points=12, resamples=40)
    assert by_problems.problems_per_step.tolist() == [8, 32]
    assert set(by_problems.best().value) <= {8, 32}


def test_the_allocation_has_limits_from_redrawn_sweeps(pooled):
    fit = pooled.allocation()
    assert fit.curve.unit == "rollouts"
    assert fit.L.low <= fit.L.value <= fit.L.high
    assert fit.log_midpoint.low < fit.log_midpoint.high
    assert fit.curve.at(600) < 8
    assert fit.curve.at(16000) > 32


def test_a_fixed_batch_is_allocated_against_steps():
    runs = [
        run(n=n, problems=512 // n, seed=seed, total=65536, **law)
        for n, law in LAWS.items()
        for seed in range(2)
    ]
    fixed = frontier(runs, others="best", points=16, resamples=20)
    more, fewer = (fixed.allocation(key, against="steps") for key in ("num_generations", "problems_per_step"))
    assert more.curve.unit == "steps"
    assert more.high == pytest.approx(65536 / 512)
    assert more.curve.k > 0 > fewer.curve.k


def test_the_running_average_is_geometric():
    values = np.array([4.0, 4, 16, 16, 64])
    assert geometric_average(values) == pytest.approx(
        [2 ** (8 / 3), 2 ** (12 / 4), 2 ** (18 / 5), 2 ** (16 / 4), 2 ** (14 / 3)]
    )


def test_a_sweep_of_one_value_or_two_units_is_no_frontier():
    with pytest.raises(DataError, match="All runs have one num_generations"):
        frontier([run(seed=0), run(seed=1)])
    with pytest.raises(DataError, match="differ in unit"):
        frontier([run(), replace(run(n=16), unit="flops")])
