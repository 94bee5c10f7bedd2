"""The logistic of log2 n*(C), and the published constants."""

from __future__ import annotations

import numpy as np
import pytest

from hone.compute.logistic import Logistic
from hone.compute.published import PUBLISHED, published
from hone.core.errors import DataError


def test_the_printed_table():
    """Sheet: L, k, log10 C_0 or M_0, b, and 2^(L + b)."""
    printed = {
        "q1_easy": (6.09, 4.75, 5.84, 2.73, 452),
        "q1_hard": (4.47, 7.23, 5.84, 2.79, 153),
        "q3_easy": (5.67, 8.84, 6.08, 3.08, 431),
        "q3_hard": (3.97, 50.0, 6.13, 3.04, 129),
        "q1_easy_tokens": (6.62, 3.47, 9.18, 2.64, 613),
        "q2_easy_n": (7.10, 0.01, 91.7, 2.00, 549),
        "q2_easy_problems": (10.73, -0.01, 23.9, 3.88, None),
    }
    assert {row.setting for row in PUBLISHED} == set(printed)
    for row in PUBLISHED:
        L, k, midpoint, b, ceiling = printed[row.setting]
        curve = row.curve
        assert (curve.L, curve.k, curve.midpoint, curve.b) == (L, k, midpoint, b)
        if ceiling is not None:
            assert 2 ** (L + b) == pytest.approx(ceiling, rel=0.01)


def test_the_easy_constants_give_the_published_numbers():
    """n* = 8 at 1e5 rollouts, between 2^5 and 2^7 at 7e5, at least 2^8.5 at 1e7."""
    curve = published("q1_easy").curve
    assert 2 ** round(curve.log2_at(1e5)) == 8
    assert 5 <= curve.log2_at(7e5) <= 7
    assert curve.log2_at(1e7) >= 8.5


def test_with_a_fixed_batch_more_steps_want_more_generations_and_fewer_problems():
    steps = np.array([1.0, 30, 100, 300, 3000])
    n, problems = (published(f"q2_easy_{what}").curve.at(steps) for what in ("n", "problems"))
    assert (np.diff(n) > 0).all()
    assert (np.diff(problems) < 0).all()
    assert problems[-1] == pytest.approx(15, rel=0.03)


def test_the_formula_by_hand():
    curve = Logistic(L=4.0, k=2.0, midpoint=5.0, b=1.0, against="log10", unit="rollouts")
    assert curve.log2_at(1e5) == 3.0
    assert curve.log2_at(1e6) == pytest.approx(1 + 4 / (1 + np.exp(-2)))
    assert curve.at(1e5) == 8.0
    assert curve.at([1e5, 1e5]).tolist() == [8.0, 8.0]


def test_what_has_no_budget_or_name_is_refused():
    with pytest.raises(DataError, match="positive"):
        published("q1_easy").curve.at(0)
    with pytest.raises(DataError, match="Did you mean `q1_easy`"):
        published("q1_easyy")
