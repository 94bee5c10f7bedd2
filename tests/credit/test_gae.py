"""Generalised advantage estimation against the sums of its definition."""

from __future__ import annotations

import pytest
import torch

from hone.core.errors import DataError, RecipeError
from hone.credit import Gae, gae

LENGTHS = [3, 1, 4]
ROLLOUTS = torch.tensor([5, 5, 5, 2, 8, 8, 8, 8])


def inputs():
    generator = torch.Generator().manual_seed(1)
    rewards, values = torch.randn(2, 8, generator=generator, dtype=torch.float64)
    return rewards, values, torch.tensor([0.0, 0.7, -0.2], dtype=torch.float64)


def slowly(rewards, values, bootstrap, gamma, lam):
    out, start = [], 0
    for row, length in enumerate(LENGTHS):
        r = rewards[start : start + length].tolist()
        v = [*values[start : start + length].tolist(), bootstrap[row].item()]
        deltas = [r[t] + gamma * v[t + 1] - v[t] for t in range(length)]
        out += [sum((gamma * lam) ** (j - t) * deltas[j] for j in range(t, length)) for t in range(length)]
        start += length
    return out


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (0.9, 1.0), (1.0, 0.0)])
def test_against_the_definition(gamma, lam):
    rewards, values, bootstrap = inputs()
    advantages, returns = gae(rewards, values, ROLLOUTS, gamma=gamma, lam=lam, bootstrap=bootstrap)
    assert advantages.tolist() == pytest.approx(slowly(rewards, values, bootstrap, gamma, lam), abs=1e-12)
    assert torch.allclose(returns, advantages + values)
    ended, _ = Gae(gamma, lam)(rewards, values, ROLLOUTS)
    assert ended.tolist() == pytest.approx(slowly(rewards, values, 0 * bootstrap, gamma, lam), abs=1e-12)


def test_lambda_one_is_the_sum_of_rewards_less_the_value():
    rewards, values, _ = inputs()
    advantages, returns = gae(rewards, values, ROLLOUTS, lam=1.0)
    totals = torch.cat([part.flip(0).cumsum(0).flip(0) for part in rewards.split(LENGTHS)])
    assert torch.allclose(returns, totals)
    assert torch.allclose(advantages, totals - values)


def test_the_critic_gets_no_gradient_through_advantages():
    rewards, values, _ = inputs()
    advantages, returns = gae(rewards, values.requires_grad_(), ROLLOUTS)
    assert not advantages.requires_grad
    assert not returns.requires_grad


def test_refusals():
    rewards, values, bootstrap = inputs()
    with pytest.raises(DataError, match="next to each other"):
        gae(rewards, values, torch.tensor([1, 1, 2, 2, 1, 1, 3, 3]))
    with pytest.raises(DataError, match="2 bootstrap values for 3 rollouts"):
        gae(rewards, values, ROLLOUTS, bootstrap=bootstrap[:2])
    with pytest.raises(DataError, match="8 rewards, 7 values"):
        gae(rewards, values[1:], ROLLOUTS)
    with pytest.raises(RecipeError, match="`lam`"):
        Gae(lam=1.5)
