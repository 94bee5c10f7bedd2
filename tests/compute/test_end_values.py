"""The closed forms for the two ends of a curve, against a bounded solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from hone.compute.end_values import fixed_start, free_ends, known_end, moments


@pytest.fixture(params=range(8))
def problem(request):
    rng = np.random.default_rng(request.param)
    shapes = np.sort(rng.uniform(size=(5, 12)), axis=1)
    slope, level = rng.normal(scale=0.6, size=(2, 3, 1))
    rewards = level + slope * np.linspace(0, 1, 12) + 0.1 * rng.normal(size=(3, 12))
    weights = rng.uniform(0.5, 2, size=(3, 12))
    return shapes, rewards, weights


def loss(shape, reward, weight, start, end):
    return float((weight * (reward - start - (end - start) * shape) ** 2).sum())


def test_free_ends_are_the_best_in_their_triangle(problem):
    shapes, rewards, weights = problem
    start, end, value = free_ends(moments(shapes, rewards, weights))
    triangle = [{"type": "ineq", "fun": lambda x: x[0]}, {"type": "ineq", "fun": lambda x: x[1] - x[0]}]
    triangle.append({"type": "ineq", "fun": lambda x: 1 - x[1]})
    for r in range(3):
        for s in range(5):
            data = shapes[s], rewards[r], weights[r]
            slow = minimize(
                lambda x, data=data: loss(*data, *x), [0.4, 0.6], constraints=triangle, method="SLSQP"
            )
            assert value[r, s] == pytest.approx(slow.fun, rel=1e-4, abs=1e-6)
            assert value[r, s] == pytest.approx(
                loss(shapes[s], rewards[r], weights[r], start[r, s], end[r, s])
            )
            assert -1e-12 <= start[r, s] <= end[r, s] + 1e-12 <= 1 + 2e-12


def test_the_best_multiple_is_found_without_trying_all(problem):
    shapes, rewards, weights = problem
    starts = np.array([[0.1], [0.25], [0.7]])
    end, value = fixed_start(moments(shapes, rewards, weights), starts, 0.005)
    for r in range(3):
        grid = np.arange(1, 201) * 0.005
        grid = grid[grid > starts[r, 0] + 1e-9]
        for s in range(5):
            losses = [loss(shapes[s], rewards[r], weights[r], starts[r, 0], a) for a in grid]
            assert value[r, s] == pytest.approx(min(losses))
            assert end[r, s] == pytest.approx(grid[np.argmin(losses)])


def test_a_known_end_leaves_the_start(problem):
    shapes, rewards, weights = problem
    start, end, value = known_end(moments(shapes, rewards, weights), None, 0.6)
    grid = np.linspace(0, 0.6, 601)
    for r in range(3):
        for s in range(5):
            losses = [loss(shapes[s], rewards[r], weights[r], a, 0.6) for a in grid]
            assert end[r, s] == 0.6
            assert value[r, s] <= min(losses) + 1e-12
            assert start[r, s] == pytest.approx(grid[np.argmin(losses)], abs=0.001)


def test_one_table_for_all_or_one_for_each_row_is_the_same(problem):
    shapes, rewards, weights = problem
    same = moments(np.broadcast_to(shapes, (3, *shapes.shape)), rewards, weights)
    for one, other in zip(moments(shapes, rewards, weights), same):
        assert np.allclose(one, other)
