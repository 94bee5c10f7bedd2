"""From rollouts to advantages: rewards, scoring, selection and credit, in the order of the design."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from hone.compute.ledger import Ledger
from hone.core.batch import Batch
from hone.core.errors import RewardError
from hone.core.method import Method
from hone.core.packed import broadcast
from hone.core.problem import Verdict
from hone.core.recipe import Recipe
from hone.core.stages import Context
from hone.core.units import units
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.scoring import score
from hone.training.stopping import Check, Runs, go_on


def judge(
    method: Method, batch: Batch, context: Context, max_error_share: float, run: Runs = asyncio.run
) -> Batch:
    """Apply the rewards in order. Raises RewardError when too many verdicts are errors."""

    async def apply() -> Batch:
        judged = batch
        for reward in method.rewards:
            judged = await reward(judged, context)
        return judged

    batch = run(apply())
    refuse_errors([t.verdict for t in batch.trajectories if t.verdict is not None], max_error_share)
    return batch


def refuse_errors(verdicts: Sequence[Verdict], max_error_share: float) -> None:
    """Raise RewardError when more than `max_error_share` of `verdicts` are errors or time-outs."""
    failed = [v for v in verdicts if v.status in ("error", "timeout")]
    if len(failed) > max_error_share * max(1, len(verdicts)):
        raise RewardError(
            f"{len(failed)} of {len(verdicts)} verdicts of this step are errors, more than `max_error_share` "
            f"({max_error_share:g}) allows. The first one: {failed[0].detail.strip()}",
            "Mend the reward, or raise `max_error_share`.",
        )


@dataclass(frozen=True)
class Scoring:
    """Why a batch is scored before its update: by the policy, by the reference. Without a reason there is no pass."""

    policy: tuple[str, ...]
    reference: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The reasons as a person reads them."""
        none = "no scoring pass: with one update a batch the training forward's own logprobs serve"
        return (*self.policy, *self.reference) or (none,)


def scoring_reasons(method: Method, recipe: Recipe) -> Scoring:
    """Which passes without gradient a batch needs before its update, with the reasons."""
    policy, reference = [], []
    several = [key for key in ("num_iterations", "minibatches") if getattr(recipe, key) > 1]
    if several:
        words = " and ".join(f"{key}={getattr(recipe, key)}" for key in several)
        verb = "make" if len(several) > 1 or several == ["minibatches"] else "makes"
        policy.append(
            f"old logprobs are scored before the update because {words} {verb} several updates of a batch"
        )
    if method.kl_reward is not None:
        policy.append(
            "old logprobs are scored before credit because `kl: reward` makes them part of the rewards"
        )
    if "values" in method.needs:
        policy.append("values are scored before credit because the credit piece reads them")
    if "reference_logprobs" in method.needs:
        piece = "kl: reward" if method.kl_reward is not None else "kl: loss"
        reference.append(
            f"reference logprobs are scored by the model it started from because `{piece}` reads them"
        )
    return Scoring(tuple(policy), tuple(reference))


def provide(
    method: Method,
    recipe: Recipe,
    batch: Batch,
    policy: TokenPolicy,
    reference: TokenPolicy | None,
    budget: TokenBudget,
    ledger: Ledger,
    check: Check = go_on,
) -> Batch:
    """Add the logprobs and values that stages need before the update, and nothing that they do not.

    `check` is called before every pass, and may raise.
    """
    scoring = scoring_reasons(method, recipe)
    rollouts, temperature = batch.trajectories, recipe.temperature
    if scoring.policy:
        values = "values" in method.needs
        scores = score(policy, rollouts, temperature, budget, ledger, values=values, check=check)
        batch = replace(batch, old_logprobs=scores.logprobs, values=scores.values)
    if scoring.reference:
        assert reference is not None  # the session loads one exactly if a piece needs its logprobs
        scores = score(reference, rollouts, temperature, budget, ledger, check=check)
        batch = replace(batch, reference_logprobs=scores.logprobs)
    return batch


def assign(method: Method, batch: Batch) -> Batch:
    """Selection and credit: `advantages[T]`, zero for every rollout whose verdict is not ok."""
    if method.kl_reward is not None:
        batch = replace(batch, token_rewards=method.kl_reward(batch.old_logprobs, batch.reference_logprobs))
    for selector in method.selectors:
        batch = selector(batch)
    if method.credit is None:
        return replace(batch, advantages=torch.ones_like(batch.behaviour_logprobs))
    if "values" in method.credit.needs:
        return _token_credit(method, batch)
    of = units(batch, method.group_by)
    values, ok = batch.rewards[of.first].clone(), batch.ok[of.first]
    if batch.token_rewards is not None:
        values.index_add_(0, of.of[batch.rollout_of], batch.token_rewards.to(values.dtype))
    earned = torch.zeros_like(values)
    if bool(ok.any()):
        earned[ok] = method.credit(values[ok], of.groups[ok])
    advantages = broadcast(earned, of.of[batch.rollout_of])
    if batch.local_advantages is not None:
        heard = broadcast(batch.ok, batch.rollout_of)
        advantages = advantages + torch.where(heard, batch.local_advantages.to(values.dtype), 0.0)
    return replace(batch, advantages=advantages.float())


def _token_credit(method: Method, batch: Batch) -> Batch:
    """Token-form credit: the outcome reward lands on the last token of its rollout.

    The verdict on a rollout that the length limit cut is its whole outcome, so nothing is bootstrapped beyond it.
    """
    assert batch.values is not None  # provided because the piece needs `values`
    rewards = torch.zeros_like(batch.values)
    if batch.token_rewards is not None:
        rewards += batch.token_rewards.to(rewards.dtype)
    last = torch.cumsum(batch.lengths, 0) - 1
    rewards[last] += torch.where(batch.ok, batch.rewards, 0.0).to(rewards.dtype)
    advantages, returns = method.credit(rewards, batch.values, batch.rollout_of)
    silent = ~broadcast(batch.ok, batch.rollout_of)
    return replace(batch, advantages=advantages.masked_fill(silent, 0.0).float(), returns=returns.float())
