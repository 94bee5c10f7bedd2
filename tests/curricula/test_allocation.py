"""Posteriors and allocations: against integrals, brute force and hand counts, with bounds and refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from builders import groups_of
from hone.core.batch import Batch, collect
from hone.core.errors import RecipeError
from hone.core.problem import Problem
from hone.curricula import MaxrlOptimal, VarianceOptimal
from hone.curricula.apportion import apportion
from hone.curricula.posterior import key_of, observed, power_mean


class Numbers:
    """A task whose problem i has level 1 + i mod 3."""

    name = "numbers"

    def __init__(self, size: int | None) -> None:
        self._size = size

    def size(self, split: str = "train") -> int | None:
        return self._size

    def problem(self, index: int, split: str = "train") -> Problem:
        return Problem(str(index), index, "numbers", level=1 + index % 3)


def judged(problems: list[Problem], rewards: list[list[float]]) -> Batch:
    trajectories = groups_of([2] * len(problems), [[1] * len(row) for row in rewards])
    owned = [replace(t, problem=problems[t.labels["group"]]) for t in trajectories]
    values = torch.tensor([r for row in rewards for r in row], dtype=torch.float64)
    return replace(collect(owned), rewards=values, ok=~values.isnan())


def test_a_posterior_counts_passes_and_forgets():
    easy, hard = Problem("a", 1, "t", level=3), Problem("b", 2, "t", level=8)
    nan = float("nan")
    counts = observed({}, judged([easy, hard], [[1, 1, 0], [0, nan, 0.5]]), 0.5, True)
    assert counts == {easy.id: [2, 1], hard.id: [0, 2]}
    again = observed(counts, judged([easy], [[1, 0]]), 0.5, True)
    assert again == {easy.id: [2, 1.5], hard.id: [0, 2]}  # the unseen keeps what is known of it
    assert counts == {easy.id: [2, 1], hard.id: [0, 2]}


def test_levels_share_what_is_known_where_problems_do_not_come_back():
    keys = [key_of(Problem("x", n, "t", level=n), False) for n in (1, 2, 3, 4, 5, 6, 21, 22, 40, 0)]
    assert len(set(keys[:6])) == 6
    assert keys[6] == keys[7] != keys[8]
    assert key_of(Problem("x", 1, "t"), False) == keys[9] == "no level"


@pytest.mark.parametrize("powers", [(0.5, 0.5), (-0.5, 0.5)])
@pytest.mark.parametrize("counts", [(0.0, 0.0), (3.0, 1.5), (0.0, 40.0)])
def test_power_means_against_integrals(powers, counts):
    u = (np.arange(200_000) + 0.5) / 200_000
    p, width = u**4, 4 * u**3  # a substitution that flattens the pole at 0
    density = p ** counts[0] * (1 - p) ** counts[1] * width
    wanted = (density * p ** powers[0] * (1 - p) ** powers[1]).sum() / density.sum()
    assert power_mean({"k": counts}, "k", *powers) == pytest.approx(wanted, rel=1e-4)
    assert power_mean({}, "k", *powers) == pytest.approx(power_mean({"k": (0, 0)}, "k", *powers))


@pytest.mark.parametrize("weights", [(1.0, 2.0, 4.0), (0.5, 0.5, 0.5), (0.01, 1.0, 1.0), (1.0, 50.0, 1.0)])
@pytest.mark.parametrize("total", [12, 17, 30])
def test_apportion_against_brute_force(weights, total):
    """Largest remainders are not exactly the best whole numbers; no others are better by more than one unit's move."""
    low, high = 2, 12

    def variance(counts):
        return sum(w * w / n for w, n in zip(weights, counts))

    found = apportion(weights, total, low, high)
    assert sum(found) == total
    assert all(low <= n <= high for n in found)
    some = [c for c in product(range(low, high + 1), repeat=3) if sum(c) == total]
    best = min(some, key=variance)
    assert max(abs(a - b) for a, b in zip(found, best)) <= 1
    assert variance(found) <= 1.05 * variance(best)


def test_apportion_gives_equal_remainders_to_the_earlier():
    assert apportion([1, 1, 1], 10, 2, 9) == [4, 3, 3]
    assert apportion([1, 1, 1, 1], 16, 2, 9) == [4, 4, 4, 4]
    with pytest.raises(ValueError, match="cannot be dealt"):
        apportion([1, 1], 30, 2, 12)


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize(("piece", "order"), [(VarianceOptimal, [1, 0, 2]), (MaxrlOptimal, [0, 1, 2])])
def test_rollouts_go_where_the_posterior_sends_them(size, piece, order):
    """Hard (2 of 16), even (8 of 16) and always right."""
    task, curriculum = Numbers(size), piece(8, 3)
    state = curriculum.init(task, 0)
    requests, state = curriculum.draw(state, task, 1, [])
    assert [r.count for r in requests] == [8, 8, 8]  # nothing is known
    assert curriculum.draw(state, task, 1, groups_of([2], [[1]]))[0] == []
    batch = judged([r.problem for r in requests], [[1.0] * n + [0.0] * (16 - n) for n in (2, 8, 16)])
    state = json.loads(json.dumps(curriculum.observe(state, batch)))  # as a checkpoint keeps it
    later, _ = curriculum.draw(state, task, 1, [])
    assert [r.problem.id for r in later] == [r.problem.id for r in requests]
    assert sum(r.count for r in later) == 24
    sizes = [r.count for r in later]
    assert sizes[order[0]] > sizes[order[1]] > sizes[order[2]] >= 2
    assert curriculum.report(batch) == {"signal/smallest_group": 16, "signal/largest_group": 16}


def test_bounds_hold_whatever_is_known():
    task = Numbers(None)
    curriculum = MaxrlOptimal(8, 3, min_generations=4, max_generations=10)
    requests, state = curriculum.draw(curriculum.init(task, 0), task, 1, [])
    counts = {key_of(r.problem, False): [0.0, 900.0] if r.group == 0 else [900.0, 0.0] for r in requests}
    later, _ = curriculum.draw({**state, "counts": counts}, task, 1, [])
    assert [r.count for r in later] == [10, 7, 7]


@pytest.mark.parametrize("piece", [VarianceOptimal, MaxrlOptimal])
@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"min_generations": 1}, "min_generations"),
        ({"min_generations": 9}, "min_generations"),
        ({"max_generations": 7}, "max_generations"),
        ({"decay": 1.0}, "decay"),
    ],
)
def test_options_out_of_bounds(piece, options, key):
    with pytest.raises(RecipeError, match=f"curriculum.{key}"):
        piece(num_generations=8, **options)
