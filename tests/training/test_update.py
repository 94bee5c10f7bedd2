from __future__ import annotations

import dataclasses

import pytest
import torch

from builders import CharTokenizer, groups_of, tiny_model
from hone.catalog import build_method
from hone.compute import Ledger
from hone.core.batch import Batch, collect
from hone.core.forest import pack
from hone.policies.token_policy import TokenPolicy
from hone.recipes.load import resolve
from hone.training.budget import TokenBudget
from hone.training.losses import loss_weights, silent_rollouts
from hone.training.stages import assign
from hone.training.update import UpdateSettings, update


def method(**keys):
    return build_method(resolve({"task": "maze", "model": "micro:new", "method": "rloo", **keys})[0])


def rewarded(rewards: list[float], seed: int = 0) -> Batch:
    batch = collect(groups_of([5, 7], [[2, 4, 3], [1, 6, 2]], seed))
    return dataclasses.replace(batch, rewards=torch.tensor(rewards, dtype=torch.float64))


def gradient(policy: TokenPolicy, chosen, batch: Batch, max_tokens: int) -> torch.Tensor:
    """The gradient an update leaves behind, without moving the weights."""
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    settings, budget = UpdateSettings(1.0, 1, 1, 1e9), TokenBudget(max_tokens)
    update(policy, optimizer, lambda _: 0.0, chosen, batch, settings, budget, Ledger())
    return torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])


REWARDS = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"reduction": "token_mean"},
        {"reduction": "problem_token_mean", "entropy_coef": 0.01},
        {"objective": "gspo", "reduction": "sequence_mean"},
        {"objective": "ppo_clip", "correction": "importance"},
    ],
)
def test_the_gradient_does_not_depend_on_how_the_batch_is_cut(keys: dict):
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    chosen = method(**keys)
    batch = assign(chosen, rewarded(REWARDS))
    whole = gradient(policy, chosen, batch, 10_000)
    for budget in (30, 12, 1):
        cut = gradient(policy, chosen, batch, budget)
        assert float((cut - whole).abs().max() / whole.abs().max()) < 1e-5


def test_the_update_is_the_autograd_gradient_of_the_written_loss():
    """RLOO under sequence_sum, from first principles: mean over rollouts of A_i * sum log pi / length."""
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    chosen = method(max_completion_length=32)
    batch = assign(chosen, rewarded(REWARDS))
    got = gradient(policy, chosen, batch, 10_000)
    r = torch.tensor(REWARDS).view(2, 3)
    advantages = (r - (r.sum(1, keepdim=True) - r) / 2).flatten()
    scores = policy.score(pack(batch.trajectories))
    policy.model.zero_grad()
    loss = (
        -sum(a * lp.sum() for a, lp in zip(advantages, scores.logprobs.split(batch.lengths.tolist())))
        / 6
        / 32
    )
    loss.backward()
    want = torch.cat([p.grad.flatten() for p in policy.parameters()])
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)


def test_rollouts_without_weight_are_not_run_but_count_in_denominators():
    chosen = method(credit="grpo", reduction="token_mean")
    batch = assign(chosen, rewarded([1.0, 0.0, 1.0, 1.0, 1.0, 1.0]))  # the second group has no signal
    batch = dataclasses.replace(batch, weights=loss_weights(chosen, batch))
    assert silent_rollouts(chosen, batch).tolist() == [False, False, False, True, True, True]
    assert float(batch.weights.sum()) == pytest.approx(1.0)
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    ledger = Ledger()
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    settings = UpdateSettings(1.0, 1, 1, 1.0)
    update(policy, optimizer, lambda _: 0.0, chosen, batch, settings, TokenBudget(10_000), ledger)
    assert ledger.trained_tokens == 5 + 2 + 4 + 3
    assert ledger.shared_trained_tokens == 2 * 5


def test_a_batch_without_signal_moves_nothing():
    chosen = method()
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    before = torch.cat([p.detach().flatten().clone() for p in policy.parameters()])
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1.0)
    ledger = Ledger()
    tally = update(
        policy, optimizer, lambda _: 1.0, chosen, assign(chosen, rewarded([1.0] * 6)),
        UpdateSettings(1.0, 1, 1, 1.0), TokenBudget(10_000), ledger,
    )  # fmt: skip
    assert torch.equal(before, torch.cat([p.detach().flatten() for p in policy.parameters()]))
    assert (ledger.updates, policy.version, tally.grad_norms) == (0, 0, [])


def test_a_rollout_whose_verdict_is_not_ok_changes_nothing_else():
    """Statistics and denominators are those of the batch without it."""
    chosen = method(credit="grpo", reduction="token_mean")
    batch = rewarded(REWARDS)
    out = torch.tensor([True, True, False, True, True, True])
    marked = dataclasses.replace(
        batch, ok=out, kept=out, rewards=batch.rewards.masked_fill(~out, float("nan"))
    )
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    a = gradient(policy, chosen, assign(chosen, marked), 10_000)
    b = gradient(policy, chosen, assign(chosen, batch.select([0, 1, 3, 4, 5])), 10_000)
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_several_updates_move_the_ratio_and_are_counted():
    chosen = method(objective="ppo_clip", epsilon=0.1)
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    batch = rewarded(REWARDS)
    with torch.no_grad():
        old = policy.score(pack(batch.trajectories)).logprobs
    batch = assign(chosen, dataclasses.replace(batch, old_logprobs=old))
    ledger = Ledger()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=0.0)
    settings = UpdateSettings(1.0, 3, 2, 1.0)
    tally = update(policy, optimizer, lambda _: 3e-2, chosen, batch, settings, TokenBudget(10_000), ledger)
    assert ledger.updates == 6
    assert tally.k3 > 0
    assert tally.clipped > 0
