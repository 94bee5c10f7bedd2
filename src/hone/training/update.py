"""The optimizer updates of one batch: minibatches, micro-batches, one global denominator each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from hone.compute.ledger import Ledger
from hone.core.batch import Batch
from hone.core.forest import pack
from hone.core.method import Method
from hone.policies.token_policy import TokenPolicy
from hone.training.losses import components, loss_weights, silent_rollouts
from hone.training.microbatch import microbatches, minibatches
from hone.training.tally import Tally


@dataclass(frozen=True)
class UpdateSettings:
    """The recipe's keys that an update reads."""

    temperature: float
    num_iterations: int
    minibatches: int
    max_tokens: int
    max_grad_norm: float


def update(
    policy: TokenPolicy,
    optimizer: torch.optim.Optimizer,
    rate: Callable[[int], float],
    method: Method,
    batch: Batch,
    settings: UpdateSettings,
    ledger: Ledger,
) -> Tally:
    """Make `num_iterations` passes of `minibatches` updates over `batch`; the policy's version counts them.

    `rate(n)` is the learning rate of the n-th update of the run. An update whose every rollout is silent moves
    nothing: no optimizer step, no version.
    """
    tally = Tally()
    groups = batch.groups.tolist()
    for iteration in range(settings.num_iterations):
        for chosen in minibatches(groups, settings.minibatches):
            part = batch.select(chosen)
            part = replace(part, weights=loss_weights(method, part))
            alive = (~silent_rollouts(method, part)).nonzero()[:, 0].tolist()
            first = iteration == 0 and (settings.minibatches == 1 or batch.old_logprobs is not None)
            if not alive:
                continue
            part = part.select(alive)
            optimizer.zero_grad(set_to_none=True)
            _backward(policy, method, part, settings, ledger, tally, first)
            norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
            tally.close(norm)
            for group in optimizer.param_groups:
                group["lr"] = rate(ledger.updates)
            optimizer.step()
            ledger.add(updates=1)
            policy.version += 1
    return tally


def _backward(
    policy: TokenPolicy,
    method: Method,
    batch: Batch,
    settings: UpdateSettings,
    ledger: Ledger,
    tally: Tally,
    first_pass: bool,
) -> None:
    """Accumulate the gradient of one update over its micro-batches."""
    groups = batch.groups.tolist()
    for chosen in microbatches(batch.trajectories, groups, settings.max_tokens, method.couples):
        micro = batch.select(chosen)
        forest = pack(micro.trajectories)
        values = "values" in method.needs
        scores = policy.score(forest, settings.temperature, entropy=True, values=values)
        parts = components(method, scores, micro)
        torch.stack(list(parts.values())).sum().backward()
        tally.observe(method, scores, micro, parts, first_pass)
        unshared = sum(sum(len(s.tokens) for s in t.segments) for t in micro.trajectories)
        ledger.add(trained_tokens=forest.num_stored, shared_trained_tokens=unshared - forest.num_stored)
