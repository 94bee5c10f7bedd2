"""Patience, actions and memory of the guards of a run."""

from __future__ import annotations

import json

from hone.core.guards import Guards
from hone.training.guards.checks import Setting
from hone.training.guards.readings import Past, Readings
from hone.training.guards.watch import Watch

ROLLOUTS = Readings(entropy=1.0, repetition=0.0, constant=0.0, truncated=0.0, length=5.0, reward=0.5)


def watch(**blocks) -> Watch:
    return Watch(Guards.model_validate(blocks), Setting(100, 1.0))


def acts(made: Watch, entropy: float) -> list[tuple[str, str, bool]]:
    now = Readings(**{**vars(ROLLOUTS), "entropy": entropy})
    return [(t.finding.guard, t.action, t.first) for t in made.look_at_rollouts(now)]


def test_a_guard_acts_after_its_patience_and_says_once_that_it_is_new():
    made = watch(entropy_low={"patience": 2, "action": "skip"})
    assert acts(made, 0.0) == []
    assert acts(made, 0.0) == [("entropy_low", "skip", True)]
    assert acts(made, 0.0) == [("entropy_low", "skip", False)]
    assert acts(made, 1.0) == []
    assert acts(made, 0.0) == []  # the row begins anew
    assert acts(made, 0.0) == [("entropy_low", "skip", True)]


def test_an_ignored_guard_does_not_look():
    made = watch(entropy_low={"patience": 1, "action": "ignore"})
    assert acts(made, 0.0) == []
    assert made.tripped == 0


def test_the_gravest_comes_first():
    made = watch(
        entropy_low={"patience": 1, "action": "warn"},
        repetition={"patience": 1, "action": "stop"},
        constant_rewards={"patience": 1, "action": "skip"},
    )
    trips = made.look_at_rollouts(Readings(entropy=0.0, repetition=1.0, constant=1.0))
    assert [t.finding.guard for t in trips] == ["repetition", "constant_rewards", "entropy_low"]
    assert made.tripped == 3


def test_norms_of_updates_that_were_made_are_remembered_and_no_others():
    made = watch()
    for step in range(60):
        made.look_at_update(Readings(finite=True, grad_norm=float(step)))
        made.stepped(float(step))
    assert made.past.grad_norms == [float(step) for step in range(10, 60)]
    assert made.past.highest_grad_norm == 59.0
    (trip,) = made.look_at_update(Readings(finite=True, grad_norm=5e3))
    assert trip.finding.guard == "gradient"
    assert made.past.grad_norms[-1] == 59.0


def test_skips_in_a_row_are_counted_until_an_update_is_made():
    made = watch(max_skips=2)
    assert made.skip() is False
    made.stepped(1.0)
    assert made.skip() is False
    assert made.skip() is True
    assert made.skipped == 3


def test_what_is_remembered_survives_json_and_decides_alike():
    made, shorter = watch(length={"window": 2, "growth": 1.2}), watch(length={"window": 2, "growth": 1.2})
    for _ in range(3):
        made.look_at_rollouts(ROLLOUTS)
    shorter.past = Past(**json.loads(json.dumps(made.past.state())))
    assert shorter.past == made.past
    assert len(made.past.lengths) == 3
    now = Readings(**{**vars(ROLLOUTS), "length": 9.0})
    assert made.look_at_rollouts(now) == shorter.look_at_rollouts(now) != []


def test_a_state_that_was_taken_is_not_changed_by_what_follows():
    made = watch()
    made.begin()
    taken = made.past.state()
    made.look_at_rollouts(ROLLOUTS)
    made.stepped(1.0)
    assert Past(**taken) == Past()
    assert made.line()["guards/entropy"] == 1.0
    made.begin()
    assert made.line() == {"guards/tripped": 0, "guards/skipped": 0}
