"""A penalty on the length of right answers: the baseline that MRT is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from hone.core.batch import Batch
from hone.core.lazy import torch
from hone.core.options import require
from hone.core.packed import compact, segment_constant, segment_mean, segment_std
from hone.core.rewarded import pass_rate
from hone.core.stages import Context

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def length_penalised(
    rewards: Float[torch.Tensor, "units"],
    lengths: Int[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    penalty: float,
) -> Float[torch.Tensor, "units"]:
    """r_i (1 − penalty · σ(z_i)): z_i is the length of i less the mean, over the standard deviation (divisor N), of the
    group's units with a positive reward; 0 where those are equally long.

    A reward of 0 stays 0, so that giving up early is worth nothing. Source: Arora and Zanette 2025 (arXiv 2502.04463).
    """
    right = rewards > 0
    out = rewards.clone()
    if not bool(right.any()):
        return out
    index, count = compact(groups[right])
    long = lengths[right].to(torch.float64)
    spread = segment_std(long, index, count, sample=False)
    constant = segment_constant(long, index, count)
    z = (long - segment_mean(long, index, count)[index]) / torch.where(constant, 1.0, spread)[index]
    factor = 1 - penalty * torch.sigmoid(torch.where(constant[index], 0.0, z))
    out[right] = rewards[right] * factor.to(rewards.dtype)
    return out


@dataclass(frozen=True)
class LengthPenalty:
    """Configuration of `length_penalised`, applied to the rewards that are there, in action tokens.

    Credit then reads no pass rates: pieces that want rewards of 0 and 1 are refused.
    """

    penalty: float = 0.2

    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        require("penalty", self.penalty, 0 < self.penalty < 1, "between 0 and 1")

    def formula(self) -> str:
        """The reward that credit reads, in plain text."""
        return f"r_i ← r_i (1 − {self.penalty:g} σ(z_i)), z_i the length among the group's right answers"

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with smaller rewards; rollouts that are not ok are left as they are."""
        rewards = batch.rewards.clone()
        ok = batch.ok
        rewards[ok] = length_penalised(rewards[ok], batch.lengths[ok], batch.groups[ok], self.penalty)
        return replace(batch, rewards=rewards, readings={**batch.readings, **pass_rate(batch, batch.ok)})
