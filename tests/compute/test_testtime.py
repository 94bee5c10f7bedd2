"""The plan for a test-time budget: against a search over everything, and against counting operations alone."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from hone.compute.kinetics import TopK, completion_cost
from hone.compute.testtime import Measured, choices, cost_frontier, plan_test_time
from hone.core.errors import DataError
from synthetic import QWEN3


def table(lengths=(1024, 4096, 16_384, 32_768), problems=40, attention=None):
    """Reasoning: length matters most, and a larger model solves somewhat more. 16 completions a problem."""
    rng = np.random.default_rng(0)
    hardness = rng.uniform(0, 1, problems)
    rows = []
    for size, (model, shape) in enumerate(QWEN3.items()):
        for at, length in enumerate(lengths):
            rate = np.clip(0.1 * size + 0.2 * at - 0.6 * hardness, 0, 1)
            correct = rng.binomial(16, rate)
            rows.append(
                Measured(model, shape, length, 128, length // 2, np.full(problems, 16), correct, attention)
            )
    return rows


def test_coverage_is_the_share_of_subsets():
    row = Measured("m", QWEN3["1.7B"], 10, 1, 5, np.array([6, 6, 6, 7]), np.array([0, 2, 6, 1]))
    for count in (1, 2, 4, 6):
        slow = []
        for n, c in zip(row.samples, row.correct):
            subsets = list(combinations([1] * c + [0] * (n - c), count))
            slow.append(np.mean([max(subset) for subset in subsets]))
        assert row.coverage(count) == pytest.approx(slow)
    with pytest.raises(DataError, match="fewer than 7"):
        row.coverage(7)


@pytest.mark.parametrize("budget", [3e13, 1e14, 1e15, 1e16])
def test_the_plan_is_the_best_of_everything_within_the_budget(budget):
    rows = table()
    plan = plan_test_time(rows, budget, samples=(1, 2, 4, 8, 16))
    reached = max(
        row.coverage(k).mean()
        for row in rows
        for k in (1, 2, 4, 8, 16)
        if completion_cost(row.shape, row.prompt, row.tokens, k).total() <= budget
    )
    assert plan.best.coverage.value == pytest.approx(reached)
    assert plan.best.cost.total() <= budget
    assert plan.best.coverage.low <= plan.best.coverage.value <= plan.best.coverage.high


def test_counting_operations_alone_picks_smaller_models():
    """Published claim: the frontier of operations has smaller models than that of operations and traffic."""
    rows = table()
    sizes = {model: at for at, model in enumerate(QWEN3)}
    plans = [plan_test_time(rows, budget, samples=(1, 2, 4, 8, 16)) for budget in np.geomspace(2e13, 2e16, 9)]
    both = [(sizes[plan.by_flops.model], sizes[plan.best.model]) for plan in plans if plan.by_flops]
    assert len(both) >= 7
    assert all(alone <= real for alone, real in both)
    assert any(alone < real for alone, real in both)
    assert all(plan.by_flops.coverage.value <= plan.best.coverage.value for plan in plans if plan.by_flops)


def test_a_frontier_rises_in_cost_and_coverage_and_leaves_nothing_better_out():
    options = choices(table(), (1, 4, 16), resamples=20)
    best = cost_frontier(options)
    assert all(
        a.cost.total() <= b.cost.total() and a.coverage.value < b.coverage.value for a, b in pairwise(best)
    )
    for one in options:
        assert any(
            b.cost.total() <= one.cost.total() and b.coverage.value >= one.coverage.value for b in best
        )


def test_sparse_attention_reaches_more_for_the_same_budget():
    dense, sparse = (table(lengths=(8192, 32_768), attention=kind) for kind in (None, TopK(512)))
    pairs = [
        [plan_test_time(rows, budget, samples=(1, 4, 16)).best.coverage.value for rows in (dense, sparse)]
        for budget in (1e15, 3e15, 1e16)
    ]
    assert all(more >= less for less, more in pairs)
    assert any(more > less + 0.05 for less, more in pairs)


def test_what_cannot_be_planned_is_refused():
    with pytest.raises(DataError, match="cheapest choice costs"):
        plan_test_time(table(), 1.0)
    with pytest.raises(DataError, match="as many samples"):
        choices(table(), (64,))
    with pytest.raises(DataError, match="correct"):
        Measured("m", QWEN3["1.7B"], 10, 1, 5, np.array([4]), np.array([5]))
