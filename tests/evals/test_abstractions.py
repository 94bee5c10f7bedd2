"""Success with abstractions: the table, the allocation of a budget, and its estimator against enumeration."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from hone.core.errors import DataError, RecipeError
from hone.evals import pass_at_k
from hone.evals.abstractions import (
    abstraction_table,
    allocation_estimate,
    allocation_success,
    allocation_table,
)


def test_table():
    correct = np.tile([[4, 0], [2, 2], [0, 1]], (8, 1))
    table = abstraction_table(correct, 4, np.tile([1, 3, 0], 8), 6)
    assert table["w/o"].value == pytest.approx((1 / 6 + 3 / 6) / 3)
    assert table["avg"].value == pytest.approx((0.5 + 0.5 + 0.125) / 3)
    assert table["best"].value == pytest.approx((1 + 0.5 + 0.25) / 3)
    assert table["w/o pass@2"].value == pytest.approx(np.mean(pass_at_k(6, [1, 3, 0], 2)))
    assert all(row.low < row.value < row.high for row in table.values())


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 2), (3, 1)])
def test_the_estimate_is_unbiased(shape):
    """Over every draw of 3 abstractions from 2, and every count of right answers of 3 to each."""
    m, k = shape
    rates, weights, n, drawn = np.array([0.2, 0.7]), np.array([0.6, 0.4]), 3, 3
    expected = 0.0
    for zs in product(range(2), repeat=drawn):
        for counts in product(range(n + 1), repeat=drawn):
            chance = np.prod(
                [
                    weights[z] * comb(n, c) * rates[z] ** c * (1 - rates[z]) ** (n - c)
                    for z, c in zip(zs, counts)
                ]
            )
            expected += chance * allocation_estimate([counts], n, m, k)[0]
    assert expected == pytest.approx(allocation_success(rates, m, k, weights), abs=1e-12)


def test_the_estimate_is_the_mean_over_subsets():
    counts, n, m, k = [3, 0, 1, 2, 5], 6, 3, 2
    slow = np.mean(
        [np.prod([comb(n - c, k) / comb(n, k) for c in chosen]) for chosen in combinations(counts, m)]
    )
    assert allocation_estimate([counts, counts[::-1]], n, m, k) == pytest.approx([1 - slow, 1 - slow])


def test_one_abstraction_is_pass_at_k():
    counts = np.array([[3, 0, 1]])
    assert allocation_estimate(counts, 4, 1, 2)[0] == pytest.approx(np.mean(pass_at_k(4, counts[0], 2)))


def test_allocation_table():
    rows = allocation_table([[4, 0, 0, 0], [1, 2, 0, 4]], 4)
    assert [(r["abstractions"], r["solutions"]) for r in rows if r["budget"] == 4] == [(4, 1), (2, 2), (1, 4)]
    assert len(rows) == 9
    assert all(0 <= r["success"].low <= r["success"].high <= 1 for r in rows)


def test_refusals():
    with pytest.raises(RecipeError, match="3 abstractions of 2"):
        allocation_estimate([[1, 2]], 4, 3, 1)
    with pytest.raises(RecipeError, match="k is 5 with 4 samples"):
        allocation_estimate([[1, 2]], 4, 1, 5)
    with pytest.raises(RecipeError, match="0 abstractions"):
        allocation_success([0.5], 0, 1)
    with pytest.raises(DataError, match=r"outside of \[0, 1\]"):
        allocation_success([1.5], 1, 1)
    with pytest.raises(DataError, match="no whole number"):
        allocation_estimate([[5, 2]], 4, 1, 1)
    with pytest.raises(DataError, match="shape"):
        allocation_estimate([5, 2], 4, 1, 1)
    with pytest.raises(DataError, match="the same ones"):
        abstraction_table([[1, 2]], 4, [1, 2], 4)
