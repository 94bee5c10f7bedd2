"""The loss of one micro-batch: a sum of named components over per-token weights with global denominators."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from hone.core.batch import Batch
from hone.core.counting import count
from hone.core.method import Method
from hone.core.stages import SoftObjective
from hone.policies.token_policy import Scores


def loss_weights(method: Method, batch: Batch) -> Tensor:
    """`weights[T]` of the reduction over a whole update: its denominators know every micro-batch."""
    counts = count(batch.lengths, batch.groups, batch.kept)
    weights: Tensor = method.reduce(batch.rollout_of, batch.lengths, batch.groups, batch.kept, counts)
    return weights


def components(method: Method, scores: Scores, batch: Batch) -> dict[str, Tensor]:
    """Each component of the loss over a micro-batch, as a scalar; their sum is differentiated.

    `batch` carries `weights`, `advantages` and, where several updates share it, `old_logprobs`.
    """
    assert batch.weights is not None and batch.advantages is not None
    logprobs = scores.logprobs
    device, dtype = logprobs.device, logprobs.dtype
    weights = batch.weights.to(device, dtype)
    old = logprobs.detach() if batch.old_logprobs is None else batch.old_logprobs.to(device, dtype)
    rollouts = batch.rollout_of.to(device)
    if "action_logprobs" in method.objective.needs:
        assert scores.action_logprobs is not None and batch.targets is not None  # refused without `actions`
        soft: SoftObjective = cast(Any, method.objective)
        terms = soft.soft(scores.action_logprobs, batch.targets.to(device, dtype))
    else:
        terms = method.objective(logprobs, old, batch.advantages.to(device, dtype), rollouts)
    if method.correction is not None:
        terms = terms * method.correction(old, batch.behaviour_logprobs.to(device, dtype), rollouts)
    name = "supervised" if method.credit is None else "policy"
    out = {name: (weights * terms).sum()}
    if method.kl_loss is not None:
        assert batch.reference_logprobs is not None  # provided because the piece needs it
        reference = batch.reference_logprobs.to(device, dtype)
        out["reference_kl"] = (weights * method.kl_loss(logprobs, reference, rollouts)).sum()
    if method.entropy is not None:
        assert scores.entropy is not None
        out["entropy"] = (weights * method.entropy(scores.entropy)).sum()
    if method.value_coef is not None:
        assert scores.values is not None and batch.returns is not None
        returns = batch.returns.to(device, scores.values.dtype)
        out["value"] = method.value_coef * 0.5 * (weights * (scores.values - returns) ** 2).sum()
    return out


def silent_rollouts(method: Method, batch: Batch) -> Tensor:
    """`[R]` true where every component has weight zero: such a rollout is counted but not run."""
    assert batch.weights is not None and batch.advantages is not None
    weight = batch.weights != 0
    only_policy = method.kl_loss is None and method.entropy is None and method.value_coef is None
    if only_policy:
        weight = weight & (batch.advantages != 0)
    alive = torch.zeros(len(batch.lengths), dtype=torch.bool)
    alive[batch.rollout_of[weight]] = True
    return ~alive
