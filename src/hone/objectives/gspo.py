"""GSPO: one clipped ratio for the whole answer, the geometric mean of its tokens' ratios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.core.options import require
from hone.core.packed import broadcast, compact, segment_mean

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def gspo(
    logprobs: Float[torch.Tensor, "tokens"],
    old_logprobs: Float[torch.Tensor, "tokens"],
    advantages: Float[torch.Tensor, "tokens"],
    rollouts: Int[torch.Tensor, "tokens"],
    *,
    epsilon: float = 3e-4,
    epsilon_high: float = 4e-4,
) -> Float[torch.Tensor, "tokens"]:
    """-min(s A, clip(s, 1 - epsilon, 1 + epsilon_high) A), s = exp(mean over the rollout of log pi - log
    pi_old).

    Each token carries its rollout's term, so that reduction `sequence_mean` gives the paper's objective, the
    mean over rollouts; other reductions weigh rollouts by length. `rollouts` are any ids; all tokens of a
    rollout must be present.
    Source: Zheng et al. 2025 (arXiv 2507.18071), with its limits. TRL `importance_sampling_level="sequence"`;
    verl `loss_mode=gspo` (there the token variant, whose gradient is equal where a rollout has one
    advantage).
    """
    ratio = _sequence_ratio(logprobs, old_logprobs, rollouts)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon_high)
    return -torch.minimum(ratio * advantages, clipped * advantages)


def _sequence_ratio(
    logprobs: Float[torch.Tensor, "tokens"],
    old_logprobs: Float[torch.Tensor, "tokens"],
    rollouts: Int[torch.Tensor, "tokens"],
) -> Float[torch.Tensor, "tokens"]:
    """The rollout's ratio on each of its tokens."""
    index, count = compact(rollouts)
    return broadcast(torch.exp(segment_mean(logprobs - old_logprobs, index, count)), index)


@dataclass(frozen=True)
class Gspo:
    """Configuration of `gspo`."""

    epsilon: float = 3e-4
    epsilon_high: float = 4e-4

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "old_logprobs"})
    couples: ClassVar[Literal["token", "sequence"]] = "sequence"
    surrogate: ClassVar[bool] = True
    limits: ClassVar[tuple[str, ...]] = (
        "epsilon",
        "epsilon_high",
    )  # from a second update on

    def __post_init__(self) -> None:
        require("epsilon", self.epsilon, 0 <= self.epsilon <= 1, "in [0, 1]")
        require("epsilon_high", self.epsilon_high, self.epsilon_high >= 0, "0 or more")

    def __call__(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"],
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised."""
        return gspo(
            logprobs, old_logprobs, advantages, rollouts, epsilon=self.epsilon, epsilon_high=self.epsilon_high
        )

    def clipped(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"],
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Bool[torch.Tensor, "tokens"]:
        """Tokens of rollouts whose term has no gradient because a limit was passed."""
        ratio = _sequence_ratio(logprobs, old_logprobs, rollouts)
        above = (advantages > 0) & (ratio > 1 + self.epsilon_high)
        return above | ((advantages < 0) & (ratio < 1 - self.epsilon))

    def formula(self) -> str:
        """The loss term in plain text."""
        low, high = 1 - self.epsilon, 1 + self.epsilon_high
        return f"−min(s A, clip(s, {low:g}, {high:g}) A), s = exp(mean_t(log π(t) − log π_old(t)))"

    __repr__ = formula
