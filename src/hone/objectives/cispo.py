"""CISPO: the log-probability weighted by a clipped, detached ratio, so that no token loses its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.core.options import require

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def cispo(
    logprobs: Float[torch.Tensor, "tokens"],
    old_logprobs: Float[torch.Tensor, "tokens"],
    advantages: Float[torch.Tensor, "tokens"],
    *,
    epsilon: float = 1.0,
    epsilon_high: float = 4.0,
) -> Float[torch.Tensor, "tokens"]:
    """-stop_gradient(clip(rho, 1 - epsilon, 1 + epsilon_high)) A log pi, rho = pi / pi_old, to be minimised.

    `epsilon` 1 is no lower limit, as the paper uses it. The paper leaves `epsilon_high` to be tuned; 4 makes
    the largest weight 5, which is one of ScaleRL's (arXiv 2510.13786) equally good 4, 5 and 8.
    Source: MiniMax-M1 2025 (arXiv 2506.13585). TRL `loss_type="cispo"`, whose `epsilon_high` is the largest
    weight itself, here 1 + epsilon_high; verl `loss_mode=cispo`, `clip_ratio_high`.
    """
    ratio = torch.exp(logprobs - old_logprobs).detach()
    return -ratio.clamp(1 - epsilon, 1 + epsilon_high) * advantages * logprobs


@dataclass(frozen=True)
class Cispo:
    """Configuration of `cispo`."""

    epsilon: float = 1.0
    epsilon_high: float = 4.0

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "old_logprobs"})
    couples: ClassVar[Literal["token", "sequence"]] = "token"
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
        return cispo(logprobs, old_logprobs, advantages, epsilon=self.epsilon, epsilon_high=self.epsilon_high)

    def clipped(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"],
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Bool[torch.Tensor, "tokens"]:
        """Tokens whose weight is limited; their gradient is smaller or larger, never zero."""
        ratio = torch.exp(logprobs - old_logprobs)
        return (ratio < 1 - self.epsilon) | (ratio > 1 + self.epsilon_high)

    def formula(self) -> str:
        """The loss term in plain text."""
        low, high = 1 - self.epsilon, 1 + self.epsilon_high
        return f"−sg(clip(ρ_t, {low:g}, {high:g})) A_t log π(t), ρ_t = π(t)/π_old(t)"

    __repr__ = formula
