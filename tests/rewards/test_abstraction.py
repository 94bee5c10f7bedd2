"""What abstractions are worth, and which trajectories are learnt from."""

from __future__ import annotations

import math

import pytest
import torch

from hone.catalog import build_method
from hone.core.parts import Part
from hone.core.problem import Problem
from hone.credit import Grpo, Maxrl, Rloo
from hone.recipes.load import resolve
from hone.rewards import AbstractionReward
from hone.rewards.abstraction import holds
from hone.training.stages import assign
from two_levels import batch_of, rewarded

Z, Y, BARE, BLIND = Part.ABSTRACTION, Part.SOLUTION, Part.BARE, Part.BLIND
GROUP = [
    (Z, 0, 0.0, "multiply first"), (Z, 1, 0.0, "add first"),
    (Y, 0, 1.0, ""), (Y, 0, 0.0, ""), (Y, 1, 1.0, ""), (Y, 1, 1.0, ""),
    (BARE, 2, 1.0, ""), (BARE, 2, 0.0, ""),
]  # fmt: skip


def test_an_abstraction_is_worth_the_mean_of_its_own_solutions():
    found = rewarded(AbstractionReward(), batch_of([GROUP, [*GROUP[:2], (Y, 0, 0.5, ""), (Y, 1, 0.25, "")]]))
    assert found.rewards.tolist() == [0.5, 1, 1, 0, 1, 1, 0, 0, 0.5, 0.25, 0.5, 0.25]
    assert found.kept.all()
    parts = [t.verdict.parts for t in found.trajectories if t.labels["part"] == Z]
    assert parts[0] == {"solved": 0.5, "leak": 0.0, "base": 0.5}
    assert parts[2] == {"solved": 0.5, "leak": 0.0}
    assert found.trajectories[6].verdict.reward == 1.0  # masked in the reward, not in the record


def test_bare_rewards_without_the_mask():
    found = rewarded(AbstractionReward(mask_bare=False), batch_of([GROUP]))
    assert found.rewards[-2:].tolist() == [1, 0]


def test_verdicts_that_are_not_ok_count_nowhere():
    rows = [(Z, 0, 0.0, "a"), (Z, 1, 0.0, "b"), (Y, 0, None, ""), (Y, 0, 1.0, ""), (Y, 1, None, "")]
    found = rewarded(AbstractionReward(), batch_of([rows]))
    assert found.rewards[0] == 1.0
    assert math.isnan(found.rewards[1])
    assert found.ok.tolist() == [True, False, False, True, False]
    assert found.kept.tolist() == found.ok.tolist()
    assert found.trajectories[1].verdict.status == "not_applicable"


@pytest.mark.parametrize(
    ("text", "leak", "worth"),
    [
        ("the answer is 14", "answer", 0.0),
        ("the answer is 14", "none", 1.0),
        ("the answer is 141", "answer", 1.0),
        ("3*4 first", "answer", 1.0),
    ],
)
def test_an_abstraction_that_holds_the_answer_is_worth_nothing(text, leak, worth):
    found = rewarded(AbstractionReward(leak=leak), batch_of([[(Z, 0, 0.0, text), (Y, 0, 1.0, "")]]))
    assert found.rewards.tolist() == [worth, 1.0]
    assert found.trajectories[0].verdict.parts["leak"] == float(worth == 0)
    assert found.trajectories[0].verdict.parts["solved"] == 1.0


def test_an_abstraction_that_is_itself_right_leaks():
    assert rewarded(AbstractionReward(), batch_of([[(Z, 0, 1.0, "x"), (Y, 0, 1.0, "")]])).rewards[0] == 0


def test_blind_answers_find_leaks_and_are_not_learnt_from():
    rows = [(Z, 0, 0.0, "a"), (Z, 1, 0.0, "b"), (Y, 0, 1.0, ""), (Y, 1, 1.0, "")]
    rows += [(BLIND, 0, 0.0, ""), (BLIND, 0, 1.0, ""), (BLIND, 1, 0.0, ""), (BLIND, 1, None, "")]
    found = rewarded(AbstractionReward(leak="none"), batch_of([rows]))
    assert found.rewards[:2].tolist() == [0.0, 1.0]
    assert found.ok.tolist() == found.kept.tolist() == [True] * 4 + [False] * 4


def test_an_empty_abstraction_is_worth_nothing():
    found = rewarded(AbstractionReward(), batch_of([[(Z, 0, 0.0, " "), (BARE, 0, 1.0, "")]]))
    assert found.rewards.tolist() == [0.0, 0.0]
    assert found.ok.all()


@pytest.mark.parametrize("role", ["abstractor", "solver"])
def test_rollouts_of_frozen_models_carry_no_loss(role):
    theirs = {Z: role} if role == "abstractor" else {Y: role, BARE: role}
    found = rewarded(AbstractionReward(), batch_of([GROUP], roles=theirs))
    assert found.ok.all()
    assert found.kept.tolist() == [(t.labels["part"] in theirs) is False for t in found.trajectories]


def test_what_counts_as_holding_the_answer():
    def problem(answer):
        return Problem("use 3, 4 and 24", answer, "t")

    assert holds(problem("42"), "it is 42.")
    assert not holds(problem("24"), "make 24")  # the problem says it itself
    assert not holds(problem("42"), "1.42 or 420")
    assert not holds(problem(None), "None")
    assert holds(problem("a+b"), "so a+b")


@pytest.mark.parametrize("credit", [Grpo(), Rloo(), Maxrl()])
def test_hierarchical_credit(credit):
    """Solutions are normalised over all n·m of the problem, hints over the n means of their own solutions."""
    method = build_method(
        resolve({"task": "maze", "method": "rlad", "num_generations": 6, "credit": credit.__class__.__name__.lower(),
                 "episode": {"name": "abstraction", "abstractions": 2, "bare": 2}})[0]
    )  # fmt: skip
    batch = assign(method, rewarded(AbstractionReward(), batch_of([GROUP, GROUP[::-1]])))
    per_rollout = batch.advantages.view(-1, 2)
    assert torch.equal(per_rollout[:, 0], per_rollout[:, 1])
    for group, rows in enumerate((GROUP, GROUP[::-1])):
        mine = per_rollout[group * 8 : group * 8 + 8, 0].double()
        for part, values in ((Z, [0.5, 1.0]), (Y, [1, 0, 1, 1]), (BARE, [0, 0])):
            at = [i for i, row in enumerate(rows) if row[0] == part]
            values = values if group == 0 else values[::-1]
            wanted = credit(torch.tensor(values).double(), torch.zeros(len(values), dtype=torch.long))
            torch.testing.assert_close(mine[at], wanted, rtol=1e-5, atol=1e-6)
