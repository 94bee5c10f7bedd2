"""The terminate-now baseline: a continuation is worth what it gains over answering at once from the same prefix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from hone.core.batch import Batch
from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.packed import compact, segment_mean, segment_size
from hone.core.rewarded import pass_rate
from hone.core.stages import Context

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def less_termination(
    rewards: Float[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    terminated: Bool[torch.Tensor, "units"],
) -> Float[torch.Tensor, "units"]:
    """r_i − mean r(terminated units of the group of i); NaN in a group without one.

    On average over continuations it is the success that continuing adds to stopping: at most 0 where stopping always
    succeeds. The baseline depends on the prefix alone, so subtracting it leaves the gradient with respect to the
    continuation unbiased. Source: Qu et al. 2025 (arXiv 2503.07572), section 6.2.
    """
    index, count = compact(groups)
    stopped = index[terminated]
    baseline = segment_mean(rewards[terminated], stopped, count)
    baseline = torch.where(segment_size(stopped, count) > 0, baseline, float("nan"))
    return rewards - baseline[index]


@dataclass(frozen=True)
class TerminationBaseline:
    """Rewards less the mean reward of the group's rollouts that were made to answer at once (label `terminated`).

    Continuations of a group whose forced answers could all not be judged leave the step, and are counted in
    `mrt/no_baseline`. RewardError where no rollout was made to answer.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def formula(self) -> str:
        """The reward that credit reads, in plain text."""
        return "r_i ← r_i − mean(r of the group that answered at once)"

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with the rewards above the baseline."""
        terminated = torch.tensor([bool(t.labels.get("terminated", 0)) for t in batch.trajectories])
        if not bool(terminated.any()):
            raise RewardError(
                "`rewards: termination_baseline` found no rollout that was made to answer at once.",
                "Use it with `episode: continuation`.",
            )
        ok, rewards = batch.ok, batch.rewards.clone()
        rewards[ok] = less_termination(rewards[ok], batch.groups[ok], terminated[ok])
        lost = ok & rewards.isnan()
        metrics = {"mrt/no_baseline": float(lost.sum()), **pass_rate(batch, ok & ~terminated)}
        return replace(
            batch,
            rewards=rewards,
            ok=ok & ~lost,
            kept=batch.kept & ~lost,
            readings={**batch.readings, **metrics},
        )
