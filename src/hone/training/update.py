"""The optimizer updates of one batch: minibatches, micro-batches, one global denominator each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import torch

from hone.compute.ledger import Ledger
from hone.core.batch import Batch
from hone.core.errors import PolicyError
from hone.core.forest import pack
from hone.core.method import Method
from hone.kernels.shortage import first_line, out_of_memory
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import MENDS, Shortage, TokenBudget, shortage
from hone.training.guards.readings import Readings
from hone.training.losses import components, loss_weights, silent_rollouts
from hone.training.microbatch import microbatches, minibatches
from hone.training.stopping import Check, go_on
from hone.training.tally import Tally


@dataclass(frozen=True)
class UpdateSettings:
    """The recipe's keys that an update reads."""

    temperature: float
    num_iterations: int
    minibatches: int
    max_grad_norm: float


Allow = Callable[[Readings, Sequence[int]], bool]


def unguarded(readings: Readings, chosen: Sequence[int]) -> bool:
    """Every update is made."""
    return True


def update(
    policy: TokenPolicy,
    optimizer: torch.optim.Optimizer,
    rate: Callable[[int], float],
    method: Method,
    batch: Batch,
    settings: UpdateSettings,
    budget: TokenBudget,
    ledger: Ledger,
    check: Check = go_on,
    allow: Allow = unguarded,
) -> Tally:
    """Make `num_iterations` passes of `minibatches` updates over `batch`; the policy's version counts them.

    `allow(readings, rollouts)` is asked before each optimizer step, with the update's readings and which rollouts of
    `batch` it is of. Where it says no, the update moves nothing and is left out of the statistics.

    `rate(n)` is the learning rate of the n-th update of the run. An update whose every rollout is silent moves
    nothing: no optimizer step, no version. Where memory runs out, the budget is halved and the update that it ran out
    in begins again; what was computed of it is `lost_tokens`. Raises PolicyError if that cannot help.

    `check` is called before every pass until the weights have moved, and may raise: then nothing has changed.
    """
    tally, before = Tally(), ledger.updates
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
            ask = check if ledger.updates == before else go_on
            attempt = _gradient(
                policy, optimizer, method, part, settings.temperature, budget, ledger, tally, first, ask
            )
            ask()
            norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), settings.max_grad_norm)
            if not allow(attempt.close(norm), chosen):
                optimizer.zero_grad(set_to_none=True)
                continue
            tally = attempt
            for group in optimizer.param_groups:
                group["lr"] = rate(ledger.updates)
            _step(optimizer)
            ledger.add(updates=1)
            policy.version += 1
    return tally


def _gradient(
    policy: TokenPolicy,
    optimizer: torch.optim.Optimizer,
    method: Method,
    batch: Batch,
    temperature: float,
    budget: TokenBudget,
    ledger: Ledger,
    tally: Tally,
    first_pass: bool,
    check: Check,
) -> Tally:
    """Leave the gradient of one update in the parameters; returns `tally` with the update's statistics.

    An attempt that memory does not suffice for leaves nothing: its gradient, statistics and counts are dropped.
    """
    while True:
        optimizer.zero_grad(set_to_none=True)
        attempt, spent = deepcopy(tally), Ledger()
        found = _backward(
            policy, method, batch, temperature, budget.tokens, spent, attempt, first_pass, check
        )
        if found is None:
            ledger.merge(spent)
            return attempt
        ledger.add(lost_tokens=spent.trained_tokens + found.tokens)
        optimizer.zero_grad(set_to_none=True)  # before the budget gives memory back
        budget.halve(found)


def _backward(
    policy: TokenPolicy,
    method: Method,
    batch: Batch,
    temperature: float,
    max_tokens: int,
    ledger: Ledger,
    tally: Tally,
    first_pass: bool,
    check: Check,
) -> Shortage | None:
    """Accumulate the gradient over micro-batches; returns the one that memory did not suffice for, if there is one."""
    cuts = list(microbatches(batch.trajectories, batch.groups.tolist(), max_tokens, method.couples))
    for number, chosen in enumerate(cuts):
        check()
        try:
            _microbatch(policy, method, batch.select(chosen), temperature, ledger, tally, first_pass)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            passes = [[batch.trajectories[i] for i in cut] for cut in cuts]
            return shortage("update", error, passes, number, method.couples)
    return None


def _microbatch(
    policy: TokenPolicy,
    method: Method,
    micro: Batch,
    temperature: float,
    ledger: Ledger,
    tally: Tally,
    first_pass: bool,
) -> None:
    """One forward and backward pass."""
    forest = pack(micro.trajectories)
    scores = policy.score(forest, temperature, entropy=True, values="values" in method.needs)
    parts = components(method, scores, micro)
    torch.stack(list(parts.values())).sum().backward()
    tally.observe(method, scores, micro, parts, first_pass)
    unshared = sum(sum(len(s.tokens) for s in t.segments) for t in micro.trajectories)
    ledger.add(
        trained_tokens=forest.num_stored,
        trained_predictions=len(forest.action_index),
        trained_pairs=forest.pairs,
        training_passes=1,
        shared_trained_tokens=unshared - forest.num_stored,
    )


def _step(optimizer: torch.optim.Optimizer) -> None:
    """The optimizer's step. Raises PolicyError if memory runs out in it: the first one makes the optimizer's state."""
    try:
        optimizer.step()
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise PolicyError(
            f"Memory ran out in the optimizer's step, which no smaller micro-batch mends: {first_line(error)}",
            MENDS,
        ) from None
