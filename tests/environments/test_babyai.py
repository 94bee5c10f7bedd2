"""BabyAI in 6x6 rooms: prompts, determinism, and the mission done by following the advice."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("minigrid")

from hone.core.environment import hinted
from hone.core.errors import TaskError
from hone.environments import make
from hone.environments.babyai import LEVELS


@pytest.mark.parametrize("level", LEVELS)
def test_the_advice_does_the_mission_and_prompts_have_at_most_64_characters(level):
    for seed in range(4):
        world = make("babyai", {"level": level})
        state, done, rewards = world.reset(seed), False, []
        while not done:
            assert len(hinted(state, "+F")) <= 64
            step = world.step(world.advice())  # type: ignore[attr-defined]
            state, done = step.observation, step.done
            rewards.append(step.reward)
        assert rewards == [0.0] * (len(rewards) - 1) + [1.0]


@pytest.mark.parametrize("level", LEVELS)
def test_two_plays_are_equal_and_two_seeds_are_not(level):
    def play(seed: int) -> list[str]:
        world, rng = make("babyai", {"level": level, "horizon": 10}), random.Random(1)
        seen, done = [world.reset(seed)], False
        while not done:
            step = world.step(rng.choice(world.actions))
            seen.append(step.observation)
            done = step.done
        return seen

    assert play(3) == play(3)
    assert play(3) != play(4)


def test_a_prompt_is_what_minigrid_shows_of_the_room():
    from minigrid.core.constants import IDX_TO_COLOR, IDX_TO_OBJECT

    from hone.environments.babyai import COLOURS, KINDS, SEEN

    world = make("babyai", {"objects": 6})
    for seed in range(5):
        text = world.reset(seed)
        inner = world._world  # type: ignore[attr-defined]
        image = super(type(inner), inner).gen_obs()["image"]
        expected = set()
        for x in range(SEEN):
            for y in range(SEEN):
                kind = IDX_TO_OBJECT[int(image[x, y, 0])]
                if kind in KINDS and (x, y) != (SEEN // 2, SEEN - 1):
                    colour = COLOURS[IDX_TO_COLOR[int(image[x, y, 1])]]
                    expected.add(f"{colour}{KINDS[kind]}{SEEN - 1 - y}{x - SEEN // 2:+d}")
        shown = text.split("|")[1].removesuffix(">").replace("!", "").split()
        assert set(shown) == expected


def test_turning_left_four_times_shows_the_first_prompt_again():
    world = make("babyai", {"level": "pickup"})
    first = world.reset(7)
    assert [world.step("L").observation for _ in range(4)][-1] == first


def before_something_else(world: object) -> bool:
    """Turn until a thing is ahead that the mission does not name."""
    inner = world._world  # type: ignore[attr-defined]
    wanted = inner.instrs.desc
    for _ in range(4):
        world.step("L")  # type: ignore[attr-defined]
        ahead = inner.grid.get(*inner.front_pos)
        if (
            ahead is not None
            and ahead.can_pickup()
            and (ahead.color, ahead.type) != (wanted.color, wanted.type)
        ):
            return True
    return False


def test_a_picked_up_thing_is_carried_and_can_be_dropped():
    world = make("babyai", {"level": "pickup", "horizon": 64})
    for seed in range(50):
        world.reset(seed)
        if before_something_else(world):
            break
    before = world.state
    held = world.step("P").observation
    assert ".." in before.split("|")[0]
    assert ".." not in held.split("|")[0]
    assert world.advice() == "D"  # type: ignore[attr-defined]
    assert world.step("D").observation == before


def test_an_unknown_level_is_answered_with_the_nearest():
    with pytest.raises(TaskError, match="Did you mean `goto`"):
        make("babyai", {"level": "goto2"})
