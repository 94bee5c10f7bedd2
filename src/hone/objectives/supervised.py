"""Supervised cross-entropy: imitate the tokens as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def supervised(
    logprobs: Float[torch.Tensor, "tokens"],
    old_logprobs: Float[torch.Tensor, "tokens"] | None = None,
    advantages: Float[torch.Tensor, "tokens"] | None = None,
) -> Float[torch.Tensor, "tokens"]:
    """-log pi(t), to be minimised. Takes what every objective takes and reads `logprobs` alone."""
    return -logprobs


@dataclass(frozen=True)
class Supervised:
    """Configuration of `supervised`: it has no options."""

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    couples: ClassVar[Literal["token", "sequence"]] = "token"
    surrogate: ClassVar[bool] = False
    reads_advantages: ClassVar[bool] = False

    def __call__(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"] | None,
        advantages: Float[torch.Tensor, "tokens"] | None,
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised."""
        return supervised(logprobs)

    def clipped(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"] | None,
        advantages: Float[torch.Tensor, "tokens"] | None,
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Bool[torch.Tensor, "tokens"]:
        """Nothing clips."""
        return torch.zeros_like(logprobs, dtype=torch.bool)

    def formula(self) -> str:
        """The loss term in plain text."""
        return "−log π(t)"

    __repr__ = formula
