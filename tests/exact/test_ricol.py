"""RICL's advantage and RICOL's update, enumerated over states and actions in float64."""

from __future__ import annotations

import math

import pytest
import torch

from hone.objectives import soft_target
from hone.rewards.in_context import FLOOR, LIMIT, centred_advantage, log_ratios, soft_targets

STATES, ACTIONS = 5, 4


def policies(seed: int = 0, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a policy, and an advantage whose mean under it is zero."""
    generator = torch.Generator().manual_seed(seed)
    theta = scale * torch.randn(STATES, ACTIONS, generator=generator, dtype=torch.float64)
    advantage = torch.randn(STATES, ACTIONS, generator=generator, dtype=torch.float64)
    pi = theta.softmax(-1)
    return theta, advantage - (pi * advantage).sum(-1, keepdim=True)


@pytest.mark.parametrize("beta", [0.7, 1.0, 2.5])
def test_the_centred_ratio_returns_the_advantage_that_made_the_improvement(beta):
    theta, advantage = policies()
    before = theta.log_softmax(-1)
    improved = before + advantage / beta
    log_z = improved.logsumexp(-1)
    after = improved - log_z[:, None]
    found, found_z = centred_advantage(before, after[None], beta)
    assert torch.allclose(found, advantage, atol=1e-10, rtol=0)
    assert torch.allclose(found_z, log_z, atol=1e-10, rtol=0)
    divergence = (before.exp() * (before - after)).sum(-1)
    assert torch.allclose(found_z, divergence, atol=1e-10, rtol=0)


def test_several_feedbacks_average_their_advantages_and_not_their_probabilities():
    before = policies()[0].log_softmax(-1)
    after = torch.stack([policies(seed)[0].log_softmax(-1) for seed in (1, 2, 3)])
    each = torch.stack([centred_advantage(before, a[None], 0.7)[0] for a in after])
    assert torch.allclose(centred_advantage(before, after, 0.7)[0], each.mean(0), atol=1e-12)
    mixed = torch.logsumexp(after, 0) - math.log(3)
    assert not torch.allclose(centred_advantage(before, mixed[None], 0.7)[0], each.mean(0), atol=1e-3)


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_the_gradient_at_the_policy_is_the_policy_gradient_of_the_advantage_up_to_alpha_squared(beta):
    start, advantage = policies()
    before = start.log_softmax(-1)
    after = (before + advantage / beta).log_softmax(-1)[None]

    def gap(alpha: float) -> float:
        theta = start.clone().requires_grad_()
        targets = soft_targets(before, after, alpha)
        (of_loss,) = torch.autograd.grad(soft_target(theta.log_softmax(-1), targets).sum(), theta)
        expected = (before.exp() * advantage * theta.log_softmax(-1)).sum()
        (of_reward,) = torch.autograd.grad(expected, theta)
        return float((of_loss + alpha / beta * of_reward).abs().max())

    assert gap(1e-4) < 1e-7
    assert 3 < gap(2e-2) / gap(1e-2) < 5  # twice alpha, four times the rest


def test_the_target_is_the_geometric_mixture_and_the_minimum_of_two_divergences():
    before = policies()[0].log_softmax(-1)
    after = policies(1)[0].log_softmax(-1)
    alpha = 0.3
    slow = torch.empty(STATES, ACTIONS, dtype=torch.float64)
    for s in range(STATES):
        weights = [
            math.exp((1 - alpha) * float(before[s, a]) + alpha * float(after[s, a])) for a in range(ACTIONS)
        ]
        slow[s] = torch.tensor([w / sum(weights) for w in weights], dtype=torch.float64)
    found = soft_targets(before, after[None], alpha)
    assert torch.allclose(found, slow, atol=1e-12)

    def cost(q: torch.Tensor) -> float:
        towards = [(q * (q.log() - p)).sum() for p in (before, after)]
        return float((1 - alpha) * towards[0] + alpha * towards[1])

    others = [(found.log() + 0.01 * policies(seed)[0]).softmax(-1) for seed in range(2, 8)]
    assert all(cost(found) < cost(q) for q in others)


def test_without_trust_or_without_feedback_the_target_is_the_policy():
    before = policies()[0].log_softmax(-1)
    after = policies(1)[0].log_softmax(-1)[None]
    assert torch.allclose(soft_targets(before, after, 0.0), before.exp(), atol=1e-12)
    assert torch.allclose(soft_targets(before, after[:0], 0.7), before.exp(), atol=1e-12)
    assert torch.allclose(soft_targets(before, after, 1.0), after[0].exp(), atol=1e-12)


def test_order_of_actions_and_a_constant_in_the_logits_change_nothing():
    theta, other = policies()[0], policies(1)[0]
    order = torch.tensor([2, 0, 3, 1])
    found, log_z = centred_advantage(theta.log_softmax(-1), other.log_softmax(-1)[None])
    turned, turned_z = centred_advantage(
        (theta + 5)[:, order].log_softmax(-1), (other - 3)[:, order].log_softmax(-1)[None]
    )
    assert torch.allclose(turned, found[:, order], atol=1e-12)
    assert torch.allclose(turned_z, log_z, atol=1e-12)


def test_ratios_of_what_is_all_but_impossible_are_limited():
    before = torch.tensor([[0.0, -80.0]], dtype=torch.float64)
    after = torch.tensor([[-80.0, 0.0]], dtype=torch.float64)
    assert log_ratios(before, after[None]).tolist() == [[-LIMIT, LIMIT]]
    assert math.log(1 / FLOOR) > LIMIT  # the floor alone would let more through


def test_the_soft_loss_is_zero_at_the_target_and_positive_elsewhere_with_zeros_in_it():
    target = torch.tensor([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]], dtype=torch.float64)
    there = torch.tensor([[-50.0, math.log(0.25), math.log(0.75)], [0.0, -60.0, -60.0]], dtype=torch.float64)
    assert torch.allclose(soft_target(there, target), torch.zeros(2, dtype=torch.float64), atol=1e-12)
    slow = [sum(p * (math.log(p) - math.log(1 / 3)) for p in row if p > 0) for row in target.tolist()]
    uniform = torch.full((2, 3), math.log(1 / 3), dtype=torch.float64)
    assert torch.allclose(soft_target(uniform, target), torch.tensor(slow, dtype=torch.float64), atol=1e-12)
