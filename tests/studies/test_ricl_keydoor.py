"""The key-door study: its estimates are what they say, and its claims read the arms that they name."""

from __future__ import annotations

import numpy as np
import pytest

from hone.environments import exact
from hone.studies import ricl_keydoor as study
from hone.studies import ricl_keydoor_world as world


def test_monte_carlo_with_many_attempts_comes_close_to_the_exact_advantages():
    of, rng = exact.tables(5), np.random.default_rng(0)
    policy = np.full((2, 10, 2), 0.5)
    actions, returns = world.monte_carlo(of, policy, 2000, rng)
    truth = exact.advantages(of, policy, world.DISCOUNT)[0][:, of.real]
    assert np.abs(world.mean_advantages(actions, returns) - truth).max() < 0.05


def test_feedback_without_error_has_the_sign_of_every_advantage():
    of = exact.tables(5)
    policy = np.full((1, 10, 2), 0.5)
    truth = exact.advantages(of, policy, world.DISCOUNT)[0][:, of.real]
    named = np.repeat(truth.argmax(-1)[..., None], 3, -1)
    found = world.retrospective(policy[:, of.real], named)
    assert (np.sign(found) == np.sign(truth)).all()
    assert np.allclose((policy[:, of.real] * found).sum(-1), 0)


def test_distillation_is_the_mean_target_of_each_state_that_was_visited():
    rng = np.random.default_rng(0)
    states, made = rng.integers(3, size=(2, 4, 5)), rng.random((2, 4, 5)) < 0.5
    targets = rng.dirichlet([1, 1], size=(2, 4, 5))
    policy = np.full((2, 4, 2), 0.5)
    found = world.distil(policy, states, made, targets)
    for seed in range(2):
        for state in range(4):
            own = targets[seed][made[seed] & (states[seed] == state)]
            assert np.allclose(found[seed, state], own.mean(0) if len(own) else 0.5)


def test_attempts_end_at_the_door_and_their_states_follow_from_their_actions():
    of, rng = exact.tables(5), np.random.default_rng(0)
    policy = np.full((3, 10, 2), 0.5)
    states, actions, made, reward = world.attempts(of, policy, rng)
    for s in range(3):
        for i in range(world.ATTEMPTS):
            length = int(made[s, i].sum())
            assert made[s, i, :length].all()
            path = states[s, i, :length]
            assert path[0] == of.start
            assert (of.following[path[:-1], actions[s, i, : length - 1]] == path[1:]).all()
            assert reward[s, i] == of.solved[path[-1], actions[s, i, length - 1]]
            assert reward[s, i] == 1 or length == of.horizon


@pytest.mark.parametrize("learner", ["names", "learnt", "reinforce", "rwr"])
def test_every_learner_gets_better(learner, monkeypatch):
    monkeypatch.setattr(study, "LONG", 5)
    rate = study.RATES[learner][1] if learner in study.RATES else None
    steps, curve = world.steps_to_level(learner, rate, 2, 6000, first=0)
    assert curve["success"][-1] > curve["success"][0] + 0.2
    assert (steps <= 6000).all()


def test_claims_are_paired_statistics_of_their_arms():
    close, far = (
        {"correlation": [0.9, 0.8], "error": [0.1, 0.2]},
        {"correlation": [0.5, 0.6], "error": [0.4, 0.2]},
    )
    results = {
        "advantages": {0: {"mc_10": far, "mc_300": close, "ricl_names_0.1": close, "ricl_judges": far}},
        "noise_bonus_0.5": {0: {"start": 0.1, "last": [0.5, 0.4]}},
        "noise_bonus_1": {0: {"start": 0.1, "last": [0.3, 0.4]}},
        "steps_names": {0: {"steps": [100.0, 200.0]}},
        "steps_rwr": {0: {"steps": [800.0, 200.0]}},
    }
    found = study.statistics(results)
    wanted = {
        "T3_beats_mc10": [0.4, 0.2], "T3_error_beats_mc10": [-2, 0], "T3_judges": [0, 0], "T3_like_mc300": [0, 0],
        "T3_error_like_mc300": [0, 0], "T4_improves": [0.4, 0.3], "T4_alpha": [-0.2, 0], "T5_rwr": [3, 0],
    }  # fmt: skip
    assert {name: values.tolist() for name, values in found.items()} == {
        name: pytest.approx(values) for name, values in wanted.items()
    }
    assert {claim.id for claim in study.CLAIMS} >= set(found)
