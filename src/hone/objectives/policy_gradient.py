"""Plain policy gradient: the advantage times the log-probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def policy_gradient(
    logprobs: Float[torch.Tensor, "tokens"],
    old_logprobs: Float[torch.Tensor, "tokens"] | None,
    advantages: Float[torch.Tensor, "tokens"],
) -> Float[torch.Tensor, "tokens"]:
    """-A_t log pi(t), to be minimised. `old_logprobs` is not read: meant for one update per batch.

    Source: Williams 1992; Sutton et al. 2000.
    """
    return -advantages * logprobs


@dataclass(frozen=True)
class PolicyGradient:
    """Configuration of `policy_gradient`: it has no options."""

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    couples: ClassVar[Literal["token", "sequence"]] = "token"
    surrogate: ClassVar[bool] = False

    def __call__(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"] | None,
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised."""
        return policy_gradient(logprobs, old_logprobs, advantages)

    def clipped(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"] | None,
        advantages: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Bool[torch.Tensor, "tokens"]:
        """Nothing clips."""
        return torch.zeros_like(logprobs, dtype=torch.bool)

    def formula(self) -> str:
        """The loss term in plain text."""
        return "−A_t log π(t)"

    __repr__ = formula
