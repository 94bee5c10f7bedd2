"""Losses and advantages against TRL's own, where they coincide.

TRL's `GRPOTrainer._compute_loss` is called on a stand-in that holds the options it reads and hands it
logprobs, so that its clipping, KL term and every `loss_type` reduction meet ours, in value and gradient.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from hone.core.counting import count
from hone.credit import grpo
from hone.objectives import KlLoss, bind, cispo, gspo, importance_weights, ppo_clip

grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer")

LENGTHS = torch.tensor([3, 1, 5, 2])
GROUPS = torch.tensor([0, 0, 1, 1])
ROLLOUT_OF = torch.repeat_interleave(torch.arange(4), LENGTHS)
MASK = (torch.arange(5) < LENGTHS[:, None]).double()
LIMIT = 8


def draws():
    """Padded old, reference and sampler logprobs, and new ones that ask for a gradient; ratios from 0.4 to
    2.5."""
    generator = torch.Generator().manual_seed(0)
    old, shift, ref, sampler = torch.randn(4, 4, 5, generator=generator, dtype=torch.float64)
    old = old - 2
    new = (old + 0.4 * shift).requires_grad_()
    return new, old, old + 0.3 * ref, old + 0.2 * sampler


ADVANTAGES = torch.tensor([1.0, -1.0, 0.7, -0.7], dtype=torch.float64)


def trl_loss(new, old, ref, weights=None, *, loss_type, **options):
    """TRL's loss of one batch that is a whole optimizer step."""
    accelerator = SimpleNamespace(
        num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x, sync_gradients=True
    )
    trainer = SimpleNamespace(
        loss_type=loss_type,
        epsilon_low=options.get("epsilon", 0.2),
        epsilon_high=options.get("epsilon_high", 0.28),
        beta=options.get("beta", 0.0),
        importance_sampling_level=options.get("level", "token"),
        args=SimpleNamespace(
            delta=options.get("delta"), use_bias_correction_kl=False, steps_per_generation=1
        ),
        use_vllm=weights is not None,
        vllm_importance_sampling_correction=True,
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        _entropy_bonus_enabled=False,
        aux_loss_enabled=False,
        current_gradient_accumulation_steps=1,
        max_completion_length=LIMIT,
        model=SimpleNamespace(training=True),
        accelerator=accelerator,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _get_per_token_logps_and_entropies=lambda *a, **k: (new, torch.zeros_like(new), None),
    )
    inputs = {
        "prompt_ids": torch.zeros(4, 1, dtype=torch.long),
        "prompt_mask": torch.ones(4, 1, dtype=torch.long),
        "completion_ids": torch.zeros(4, 5, dtype=torch.long),
        "completion_mask": MASK,
        "advantages": ADVANTAGES,
        "old_per_token_logps": old,
        "ref_per_token_logps": ref,
        "importance_sampling_ratio": weights,
        "num_items_in_batch": LENGTHS.sum(),
    }
    return grpo_trainer.GRPOTrainer._compute_loss(trainer, None, inputs)


def our_loss(terms, reduction):
    kept = torch.ones(4, dtype=torch.bool)
    weights = bind(reduction, length=LIMIT)(ROLLOUT_OF, LENGTHS, GROUPS, kept, count(LENGTHS, GROUPS, kept))
    return (weights * terms).sum()


def assert_same(ours, theirs, new):
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    (mine,) = torch.autograd.grad(ours, new, retain_graph=True)
    (yours,) = torch.autograd.grad(theirs, new)
    torch.testing.assert_close(mine, yours, rtol=1e-12, atol=1e-12)


def flat(padded):
    return padded[MASK.bool()]


REDUCTIONS = {"grpo": "sequence_mean", "bnpo": "token_mean", "dapo": "token_mean", "dr_grpo": "sequence_sum"}


@pytest.mark.parametrize("delta", [None, 1.6])
@pytest.mark.parametrize("loss_type", REDUCTIONS)
def test_clipped_ratio_and_reductions(loss_type, delta):
    new, old, ref, _ = draws()
    terms = ppo_clip(flat(new), flat(old), ADVANTAGES[ROLLOUT_OF], epsilon_high=0.28, dual_clip=delta)
    theirs = trl_loss(new, old, ref, loss_type=loss_type, delta=delta)
    assert_same(our_loss(terms, REDUCTIONS[loss_type]), theirs, new)


def test_cispo():
    new, old, ref, _ = draws()
    terms = cispo(flat(new), flat(old), ADVANTAGES[ROLLOUT_OF], epsilon_high=0.5)
    assert_same(
        our_loss(terms, "token_mean"), trl_loss(new, old, ref, loss_type="cispo", epsilon_high=1.5), new
    )


def test_gspo():
    new, old, ref, _ = draws()
    terms = gspo(flat(new), flat(old), ADVANTAGES[ROLLOUT_OF], ROLLOUT_OF, epsilon=0.03, epsilon_high=0.04)
    theirs = trl_loss(new, old, ref, loss_type="grpo", level="sequence", epsilon=0.03, epsilon_high=0.04)
    assert_same(our_loss(terms, "sequence_mean"), theirs, new)


def test_k3_in_the_loss():
    new, old, ref, _ = draws()
    terms = ppo_clip(flat(new), flat(old), ADVANTAGES[ROLLOUT_OF], epsilon_high=0.28)
    terms = terms + KlLoss(0.1, estimator="k3")(flat(new), flat(ref))
    assert_same(our_loss(terms, "token_mean"), trl_loss(new, old, ref, loss_type="dapo", beta=0.1), new)


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_importance_weights_multiply_the_terms(level):
    new, old, ref, sampler = draws()
    ours = importance_weights(flat(old), flat(sampler), ROLLOUT_OF, level=level, threshold=1.1)
    log_ratio = (old - sampler) * MASK
    if level == "sequence":
        log_ratio = log_ratio.sum(-1, keepdim=True)
    theirs = torch.exp(log_ratio).clamp(max=1.1)
    terms = ours * ppo_clip(flat(new), flat(old), ADVANTAGES[ROLLOUT_OF], epsilon_high=0.28)
    assert_same(our_loss(terms, "sequence_mean"), trl_loss(new, old, ref, theirs, loss_type="grpo"), new)


@pytest.mark.parametrize("scale", ["group", "batch"])
def test_advantages_use_the_same_standard_deviation(scale):
    rewards = torch.tensor([0.0, 1.0, 1.0, 0.5, 0.2, 0.9], dtype=torch.float64)
    rows = rewards.view(2, 3)
    spread = (
        grpo_trainer.nanstd(rows, dim=1, keepdim=True) if scale == "group" else grpo_trainer.nanstd(rewards)
    )
    theirs = (rows - rows.mean(dim=1, keepdim=True)) / (spread + 1e-4)
    ours = grpo(rewards, torch.tensor([0, 0, 0, 1, 1, 1]), scale=scale)
    # TRL's `nanstd` counts in float32.
    torch.testing.assert_close(ours, theirs.flatten(), rtol=1e-6, atol=1e-6)
