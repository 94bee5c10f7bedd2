"""Difficulty classes from pass rates, and what a set between them is treated as."""

from __future__ import annotations

import numpy as np
import pytest

from hone.compute.difficulty import classify, shares_of
from hone.core.errors import DataError


def rates(**shares: int) -> np.ndarray:
    """So many problems at the middle of each class."""
    middle = {"hard": 0.05, "low": 0.2, "easy": 0.45, "very": 0.75, "solved": 1.0}
    return np.array([middle[name] for name, count in shares.items() for _ in range(count)])


@pytest.mark.parametrize(
    ("found", "name", "easiness", "row"),
    [
        (rates(hard=70, low=30), "hard", 0.0, "hard"),
        (rates(easy=70, very=30), "easy", 1.0, "easy"),
        (rates(very=50, solved=50), "very easy", 1.0, "easy"),
        (rates(hard=50, easy=50), "heterogeneous", 0.5, "hard"),
        (rates(hard=30, low=40, solved=30), "heterogeneous", 0.5, "hard"),
        (rates(low=100), "in between", 0.5, "hard"),
        (rates(easy=50, very=50), "in between", 1.0, "easy"),
        (rates(hard=60, low=40), "in between", 0.5, "hard"),
    ],
)
def test_a_set_is_named_by_its_problems(found, name, easiness, row):
    told = classify(found, 16)
    assert (told.name, told.easiness, told.row) == (name, easiness, row)
    assert sum(told.shares.values()) == pytest.approx(1)
    assert bool(told.said) == (name not in ("hard", "easy"))  # whatever is not a published class is said


def test_the_edges_belong_to_the_published_classes():
    shares = shares_of(np.array([0.0, 0.0625, 0.0626, 0.299, 0.3, 0.6, 0.601, 0.9, 0.91, 1.0]))
    assert shares == {
        "hard": 0.2, "between hard and easy": 0.2, "easy": 0.2, "very easy": 0.2, "solved": 0.2,
    }  # fmt: skip


def test_without_a_success_only_many_samples_tell_that_a_set_is_extremely_hard():
    assert classify(np.zeros(8), 128).name == "extremely hard"
    few = classify(np.zeros(8), 64)
    assert few.name == "hard"
    assert "may be extremely hard" in few.said[0]
    assert classify(np.append(np.zeros(8), 1 / 128), 128).name == "hard"


def test_fewer_samples_than_published_are_said():
    assert "by 8 samples each, not by 16" in classify(rates(easy=10), 8).said[0]


@pytest.mark.parametrize(("found", "samples"), [([], 16), ([1.5], 16), ([0.5], 0)])
def test_no_rates_are_refused(found, samples):
    with pytest.raises(DataError, match="no pass rates"):
        classify(np.array(found), samples)
