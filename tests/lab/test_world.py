"""Worlds have the difficulty that is asked for, come from their seed alone, and say what they cannot be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hone.core.errors import RecipeError, TaskError
from hone.lab.world import WorldDials, make_world, softmax

DIALS = WorldDials(30, 20, 8, 6, 2.0, 0.5, 0.5, ((0.3, 0.6), (0.0, 0.06)))


def test_difficulty_is_that_of_the_base_policy():
    world = make_world(DIALS, 1)
    for base, count in ((world.base, 30), (world.held_base, 20)):
        p = softmax(base)[:, 0]
        assert ((p[: count // 2] >= 0.3) & (p[: count // 2] <= 0.6)).all()
        assert (p[count // 2 :] <= 0.06).all()
    assert world.features.shape == (30, 8, 6)
    assert world.held_features.shape == (20, 8, 6)
    # One base policy scores both sets: its weights are found from either.
    solved = np.linalg.lstsq(world.features.reshape(-1, 6), world.base.ravel(), rcond=None)[0]
    np.testing.assert_allclose(world.held_features @ solved, world.held_base, atol=1e-9)
    assert np.linalg.norm(solved) == pytest.approx(2.0)


def test_a_world_is_its_seed():
    first, again, other = make_world(DIALS, 1), make_world(DIALS, 1), make_world(DIALS, 2)
    np.testing.assert_array_equal(first.features, again.features)
    assert (first.features[0] != other.features[0]).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match="difficulty"):
        dataclasses.replace(DIALS, difficulty=((0.6, 0.3),))
    with pytest.raises(RecipeError, match="answers"):
        dataclasses.replace(DIALS, answers=1)
    with pytest.raises(TaskError, match="pass rate in"):
        make_world(
            dataclasses.replace(DIALS, base_scale=0.01, difficulty=((0.9, 1.0),), answers=2, features=1), 0
        )
