"""By enumeration: what a majority vote of the rollouts themselves teaches in expectation (claims T1 and T2 of SRT)."""

from __future__ import annotations

from itertools import product
from math import comb

import pytest
import torch

from hone.core.voting import vote
from hone.credit import Grpo, Maxrl, Rloo

RLOO = Rloo()
RATES = [0.0, 0.02, 0.2, 0.4, 0.5, 0.6, 0.8, 0.98, 1.0]


def rewards_of(answers: torch.Tensor, soft: bool) -> torch.Tensor:
    """The piece's reward of one group."""
    found = vote(answers, torch.zeros_like(answers), 1)
    return found.share if soft else found.winner.double()


def expected_step(p: float, n: int, soft: bool, credit=RLOO) -> float:
    """E[dp] of one ascent step at rate 1 on the logit of a two-answer policy, over all groups of n answers."""
    drawn = torch.tensor(list(product((0, 1), repeat=n)))  # every group there is, side by side
    groups = torch.arange(len(drawn)).repeat_interleave(n)
    found = vote(drawn.flatten(), groups, len(drawn))
    rewards = found.share if soft else found.winner.double()
    advantages = credit(rewards, groups).reshape(drawn.shape)
    score = drawn.double() - p  # of answer 1, in its logit
    ones = drawn.double().sum(1)
    chance = p**ones * (1 - p) ** (n - ones)
    return float(chance @ (advantages * score).mean(1)) * p * (1 - p)


def closed_form(p: float, n: int, soft: bool) -> float:
    """The same from the number of ones alone, with leave-one-out means written out."""
    total = 0.0
    for ones in range(n + 1):
        one, zero = (ones / n, 1 - ones / n) if soft else (float(2 * ones > n), float(2 * ones < n))
        one, zero = (one if ones else 0.0), (zero if ones < n else 0.0)
        whole = ones * one + (n - ones) * zero
        up = one - (whole - one) / (n - 1)
        down = zero - (whole - zero) / (n - 1)
        chance = comb(n, ones) * p**ones * (1 - p) ** (n - ones)
        total += chance * (ones * up * (1 - p) - (n - ones) * down * p) / n
    return total * p * (1 - p)


@pytest.mark.parametrize("n", [3, 4, 5])
def test_the_mean_reward_is_the_majority_frequency(n):
    """T1, over every group of three answers."""
    for drawn in product(range(3), repeat=n):
        answers = torch.tensor(drawn)
        found = vote(answers, torch.zeros_like(answers), 1)
        assert float(found.winner.double().mean()) == pytest.approx(float(found.frequency))
        assert float(found.frequency) == max(drawn.count(a) for a in drawn) / n


@pytest.mark.parametrize("credit", [Rloo(), Grpo(), Maxrl()])
@pytest.mark.parametrize("soft", [False, True])
def test_unanimous_groups_are_a_fixed_point(credit, soft):
    """T1: no advantage is left where all agree."""
    for n in (2, 3, 8):
        answers = torch.full((n,), 5)
        assert credit(rewards_of(answers, soft), torch.zeros_like(answers)).abs().max() == 0


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("n", [3, 5, 9])
def test_the_more_likely_answer_becomes_likelier(n, soft):
    """T2: the sign of E[dp] is that of p − 1/2, with the same fixed points for both rewards."""
    for p in RATES:
        step = expected_step(p, n, soft)
        assert step == pytest.approx(closed_form(p, n, soft), abs=1e-12)
        if p in (0.0, 0.5, 1.0):
            assert step == pytest.approx(0.0, abs=1e-12)
        else:
            assert step * (p - 0.5) > 0


@pytest.mark.parametrize("n", [3, 5, 9])
def test_the_soft_reward_takes_smaller_steps(n):
    """T2."""
    for p in (0.02, 0.2, 0.4, 0.6, 0.8, 0.98):
        assert abs(expected_step(p, n, True)) < abs(expected_step(p, n, False))


def test_the_maxrl_normalisation_goes_the_same_way_and_further():
    """SRT under MaxRL: the rewards are 0 and 1 and their mean is the majority's share, at least a half here."""
    for n in (3, 5):
        for p in (0.2, 0.4, 0.6, 0.8):
            plain, divided = expected_step(p, n, False), expected_step(p, n, False, Maxrl())
            assert divided * (p - 0.5) > 0
            # RLOO is n/(n-1) times the centred reward; MaxRL divides that by a mean between 1/2 and 1.
            assert abs(divided) > abs(plain) * (n - 1) / n
            assert abs(divided) < abs(plain) * (n - 1) / n * 2


def test_two_rollouts_teach_nothing_but_their_order():
    """Why groups of two are refused: where the two differ, the first wins, whatever p is."""
    assert rewards_of(torch.tensor([0, 1]), False).tolist() == [1.0, 0.0]
    assert rewards_of(torch.tensor([1, 0]), False).tolist() == [1.0, 0.0]
    for p in (0.1, 0.7):
        assert expected_step(p, 2, False) == pytest.approx(0.0, abs=1e-12)
