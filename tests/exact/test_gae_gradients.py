"""By enumeration: when generalised advantage estimation is the policy gradient, and when it is not."""

from __future__ import annotations

import pytest
import torch

from exact.tabular import ANSWERS, Question, close, gradient, parameters
from hone.credit import Gae, gae

QUESTION = Question((0.0, 1.0, 0.3, -0.5), slope=0.7, offset=0.5)
CUT_WORTH = 0.8  # what the last answer would still earn if it were not cut


def exact_values(theta, rewards):
    """Value of the states at depth 0, 1, 2."""
    table = QUESTION.log_table(theta).exp().detach()
    deep = table[2] @ torch.tensor([rewards[2], rewards[3]], dtype=torch.float64)
    middle = table[1, 0] * rewards[1] + table[1, 1] * deep
    return torch.stack([table[0, 0] * rewards[0] + table[0, 1] * middle, middle, deep])


def expected_update(theta, values, *, lam, bootstrap=(0.0, 0.0, 0.0, 0.0), rewards=QUESTION.rewards):
    """Expected sum over tokens of advantage times score; all answers are packed into one call."""
    tokens = [(answer, t, state) for answer, path in enumerate(ANSWERS) for t, (state, _) in enumerate(path)]
    rollouts = torch.tensor([10 - answer for answer, _, _ in tokens])
    paid = [rewards[answer] if t == len(ANSWERS[answer]) - 1 else 0.0 for answer, t, _ in tokens]
    advantages, _ = gae(
        torch.tensor(paid, dtype=torch.float64),
        torch.stack([values[state] for _, _, state in tokens]),
        rollouts,
        lam=lam,
        bootstrap=torch.tensor(bootstrap, dtype=torch.float64),
    )
    logprobs = torch.cat([QUESTION.token_logprobs(theta, a) for a in range(len(ANSWERS))])
    chance = QUESTION.answer_probs(theta).detach()[torch.tensor([answer for answer, _, _ in tokens])]
    return gradient((chance * advantages * logprobs).sum(), theta)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_exact_values_give_the_policy_gradient_for_every_lambda(lam):
    theta = parameters()
    values = exact_values(theta, QUESTION.rewards)
    wanted = gradient(QUESTION.expected_reward(theta), theta)
    assert close(expected_update(theta, values, lam=lam), wanted)


def test_a_wrong_critic_is_harmless_only_at_lambda_one():
    theta = parameters()
    wrong = torch.tensor([0.4, -0.7, 0.9], dtype=torch.float64)
    wanted = gradient(QUESTION.expected_reward(theta), theta)
    assert close(expected_update(theta, wrong, lam=1.0), wanted)
    assert not close(expected_update(theta, wrong, lam=0.9), wanted)
    assert Gae().surrogate


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_a_cut_rollout_needs_its_bootstrap(lam):
    """The last answer is cut: what it is worth comes from the critic, not from a reward."""
    theta = parameters()
    worth = (*QUESTION.rewards[:3], CUT_WORTH)
    values = exact_values(theta, worth)
    wanted = gradient(Question(worth, QUESTION.slope, QUESTION.offset).expected_reward(theta), theta)
    paid = (*QUESTION.rewards[:3], 0.0)
    right = expected_update(theta, values, lam=lam, bootstrap=(0.0, 0.0, 0.0, CUT_WORTH), rewards=paid)
    forgotten = expected_update(theta, values, lam=lam, rewards=paid)
    misplaced = expected_update(theta, values, lam=lam, bootstrap=(CUT_WORTH, 0.0, 0.0, 0.0), rewards=paid)
    assert close(right, wanted)
    assert not close(forgotten, wanted)
    assert not close(misplaced, wanted)
