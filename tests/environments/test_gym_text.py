"""Gymnasium environments as text."""

from __future__ import annotations

import pytest

pytest.importorskip("gymnasium")

import numpy as np

from hone.core.errors import TaskError
from hone.environments import make
from hone.environments.gym_text import text_of


def test_a_frozen_lake_is_crossed_with_named_actions():
    lake = make("gym", {"id": "FrozenLake-v1", "options": {"is_slippery": False}, "actions": list("LDRU")})
    assert lake.reset(0) == "FrozenLake: 0>"
    seen = [lake.step(action) for action in "DDRRDR"]
    assert [s.observation for s in seen] == [f"FrozenLake: {i}>" for i in (4, 8, 9, 10, 14, 15)]
    assert [s.reward for s in seen] == [0.0] * 5 + [1.0]
    assert seen[-1].done


def test_a_slippery_one_is_a_function_of_seed_and_actions():
    def play(seed: int) -> list[str]:
        lake = make("gym", {"id": "FrozenLake-v1", "horizon": 6})
        seen, done = [lake.reset(seed)], False
        while not done:
            step = lake.step("c")
            seen.append(step.observation)
            done = step.done
        return seen

    assert play(1) == play(1)
    assert len({tuple(play(seed)) for seed in range(8)}) > 1


def test_observations_of_every_kind_become_text():
    assert text_of(np.float32([0.125, -1.5])) == "0.12 -1.50"
    assert text_of((3, np.array([True, False]))) == "3 1 0"
    assert text_of({"goal": "key", "place": 2}) == "goal key place 2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id": "NoSuchThing-v0"}, "cannot make"),
        ({"id": "Pendulum-v1"}, "discrete"),
        ({"id": "FrozenLake-v1", "actions": ["a", "b"]}, "a name of its own"),
        ({"id": "FrozenLake-v1", "actions": ["go left", "down", "right", "up"]}, "single words"),
    ],
)
def test_what_cannot_be_played_is_refused(options, message):
    with pytest.raises(TaskError, match=message):
        make("gym", options)
