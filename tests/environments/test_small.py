"""The small environments: functions of seed and actions, solved by their own advice, refusing what is no action."""

from __future__ import annotations

import random

import pytest

from hone.core.environment import hinted
from hone.core.errors import TaskError
from hone.environments import make

SMALL = ("key_door", "lock", "hidden_arm", "latent_strategy")


def play(name: str, seed: int, actions: list[str] | None = None) -> list[tuple[str, float, bool]]:
    """What an attempt shows; without `actions` the environment's advice is followed."""
    world = make(name, {})
    seen = [(world.reset(seed), 0.0, False)]
    while not seen[-1][2] and (actions is None or len(seen) <= len(actions)):
        action = world.advice() if actions is None else actions[len(seen) - 1]  # type: ignore[attr-defined]
        step = world.step(action)
        seen.append((step.observation, step.reward, step.done))
        assert step.observation == world.state
    return seen


@pytest.mark.parametrize("name", SMALL)
def test_two_plays_of_one_seed_and_one_list_of_actions_are_equal(name):
    actions = list(make(name, {}).actions)
    for seed in range(5):
        rng = random.Random(seed)
        chosen = [rng.choice(actions) for _ in range(6)]
        assert play(name, seed, chosen) == play(name, seed, chosen)


@pytest.mark.parametrize("name", SMALL)
def test_its_own_advice_earns_exactly_one(name):
    for seed in range(8):
        seen = play(name, seed)
        assert sum(reward for _, reward, _ in seen) == 1.0
        assert seen[-1][2]
        assert len(seen) - 1 <= make(name, {}).horizon


@pytest.mark.parametrize("name", SMALL)
def test_states_are_prompts_of_one_line_that_end_alike(name):
    assert all(state.endswith(">") and "\n" not in state for state, _, _ in play(name, 3))


@pytest.mark.parametrize("name", SMALL)
def test_what_is_no_action_and_what_comes_after_the_end_are_refused(name):
    world = make(name, {})
    with pytest.raises(TaskError, match="has not begun"):
        world.step(world.actions[0])
    world.reset(0)
    with pytest.raises(TaskError, match="no action here"):
        world.step("nonsense")
    while not world.step(world.actions[0]).done:
        pass
    with pytest.raises(TaskError, match="over"):
        world.step(world.actions[0])


def test_the_key_door_line_as_it_is_drawn():
    world = make("key_door", {"length": 5})
    assert world.reset(9) == "k.a.d>"
    seen = [world.step(action).observation for action in "LLRRR"]
    assert seen == ["ka..d>", "A...d>", ".A..d>", "..A.d>", "...Ad>"]
    last = world.step("R")
    assert (last.observation, last.reward, last.done) == ("....A>", 1.0, True)


def test_a_door_without_the_key_pays_nothing_and_the_horizon_ends_it():
    world = make("key_door", {"length": 5, "horizon": 4})
    world.reset(0)
    steps = [world.step("R") for _ in range(4)]
    assert [s.reward for s in steps] == [0.0] * 4
    assert [s.done for s in steps] == [False, False, False, True]


def test_a_wrong_turn_throws_the_lock_back_and_its_combination_is_its_number_s_own():
    world = make("lock", {"length": 3, "symbols": 2, "locks": 4})
    numbers = {world.reset(seed).split(":")[0] for seed in range(40)}
    assert numbers == {f"lock {i}" for i in range(4)}
    world.reset(0)
    right = world.advice()  # type: ignore[attr-defined]
    assert world.step(right).observation.endswith(f":{right}>")
    second = world.advice()  # type: ignore[attr-defined]
    wrong = "ab".replace(second, "")
    assert world.step(wrong).observation.endswith(":>")


def test_a_hidden_arm_is_told_by_no_state_and_found_by_trying_each():
    world = make("hidden_arm", {"arms": 3})
    firsts, found = set(), []
    for seed in range(30):
        firsts.add(world.reset(seed))
        for tries, action in enumerate("abc", start=1):
            if world.step(action).reward:
                found.append(tries)
                break
    assert firsts == {"arms abc, tried >"}
    assert len(found) == 30
    assert set(found) == {1, 2, 3}


def test_a_slip_in_a_plan_ends_it_and_days_decide_the_plan():
    world = make("latent_strategy", {"strategies": 3, "length": 3})
    plans = set()
    for seed in range(30):
        day = world.reset(seed)
        plans.add((day, world.right))  # type: ignore[attr-defined]
    assert len(plans) == len({day for day, _ in plans})
    world.reset(0)
    slip = next(a for a in world.actions if a != world.advice())  # type: ignore[attr-defined]
    step = world.step(slip)
    assert (step.reward, step.done) == (0.0, True)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("key_dor", {}, "Did you mean `key_door`"),
        ("key_door", {"lenght": 7}, "Did you mean `length`"),
        ("key_door", {"length": 3}, "from 5 to 31"),
        ("lock", {"symbols": 9}, "from 2 to 8"),
        ("hidden_arm", {"arms": 1}, "from 2 to 16"),
        ("latent_strategy", {"length": 1}, "from 2 to 12"),
    ],
)
def test_wrong_names_and_options_say_what_is_right(name, options, message):
    with pytest.raises(TaskError, match=message):
        make(name, options)


def test_feedback_stands_before_the_mark_that_ends_a_prompt():
    assert hinted("k.a.d>", "+L") == "k.a.d +L>"
    assert hinted("k.a.d>", "") == "k.a.d>"
