"""pass@k, worst@k and maj@k against averages over all subsets, and in sizes where factorials overflow."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest

from hone.core.errors import DataError, RecipeError
from hone.evals import maj_at_k, pass_at_k, worst_at_k


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("correct", range(7))
def test_pass_and_worst_against_subsets(correct, k):
    samples = [True] * correct + [False] * (6 - correct)
    subsets = list(combinations(samples, k))
    assert pass_at_k(6, correct, k) == pytest.approx(np.mean([any(s) for s in subsets]), abs=1e-14)
    assert worst_at_k(6, correct, k) == pytest.approx(np.mean([all(s) for s in subsets]), abs=1e-14)


def test_many_samples_and_problems_at_once():
    correct = np.array([0, 1, 17, 1000, 1024])
    got = pass_at_k(1024, correct, 256)
    wanted = [float(1 - Fraction(comb(1024 - int(c), 256), comb(1024, 256))) for c in correct]
    np.testing.assert_allclose(got, wanted, rtol=1e-12)
    worst = [float(Fraction(comb(int(c), 256), comb(1024, 256))) for c in correct]
    np.testing.assert_allclose(worst_at_k(np.full(5, 1024), correct, 256), worst, rtol=1e-12)
    assert isinstance(pass_at_k(4, 2, 2), float)


def majority_over_subsets(counts, correct, k):
    samples = [answer for answer, size in enumerate(counts) for _ in range(size)]
    scores = []
    for subset in combinations(samples, k):
        votes = Counter(subset)
        best = [answer for answer, n in votes.items() if n == max(votes.values())]
        scores.append(sum(correct[answer] for answer in best) / len(best))
    return np.mean(scores)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7, 9, 10])
@pytest.mark.parametrize(
    ("counts", "correct"),
    [
        ([4, 3, 2, 1], [True, False, False, False]),
        ([4, 3, 2, 1], [False, True, False, True]),
        ([1] * 10, [True] + [False] * 9),
        ([2] * 5, [False, True, True, False, False]),
        ([5, 5], [True, False]),
        ([10], [True]),
        ([9, 1], [False, True]),
        ([4, 6, 0], [True, False, True]),
        ([5, 4, 1], [False, False, False]),
    ],
)
def test_majority_against_subsets(counts, correct, k):
    assert maj_at_k(counts, correct, k) == pytest.approx(majority_over_subsets(counts, correct, k), abs=1e-12)


def test_majority_at_scale():
    """Values that symmetry or a closed form gives, with a thousand samples."""
    assert maj_at_k([1] * 1024, 7, 64) == pytest.approx(1 / 1024, rel=1e-9)
    assert maj_at_k([256] * 4, 2, 64) == pytest.approx(1 / 4, rel=1e-9)
    wins = sum(Fraction(comb(600, j) * comb(424, 101 - j), comb(1024, 101)) for j in range(51, 102))
    assert maj_at_k([600, 424], 0, 101) == pytest.approx(float(wins), rel=1e-9)
    assert maj_at_k([600, 424], 0, 1024) == 1.0
    counts = [90, 60, 30, *[1] * 76]
    parts = [maj_at_k(counts, np.isin(np.arange(79), chosen), 40) for chosen in ([0], [1], range(2, 79))]
    assert sum(parts) == pytest.approx(1, rel=1e-9)


def test_majority_takes_an_index_or_flags():
    assert maj_at_k([3, 2], 1, 3) == maj_at_k([3, 2], [False, True], 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pass_at_k(4, 2, 5),
        lambda: worst_at_k([8, 4], [1, 1], 5),
        lambda: maj_at_k([2, 2], 0, 5),
        lambda: pass_at_k(4, 2, 0),
    ],
)
def test_k_beyond_the_samples_is_refused(call):
    with pytest.raises(RecipeError, match="k is"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: pass_at_k(4, 5, 2),
        lambda: pass_at_k(4, -1, 2),
        lambda: pass_at_k(4, 1.5, 2),
        lambda: maj_at_k([2, -1, 3], 0, 1),
        lambda: maj_at_k([2, 2], [True], 1),
    ],
)
def test_impossible_counts_are_refused(call):
    with pytest.raises(DataError):
        call()
