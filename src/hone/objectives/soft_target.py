"""Soft-label cross-entropy: move the policy to stated probabilities of all its actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.objectives.supervised import supervised

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def soft_target(
    action_logprobs: Float[torch.Tensor, "tokens actions"], targets: Float[torch.Tensor, "tokens actions"]
) -> Float[torch.Tensor, "tokens"]:
    """KL(target ‖ π) = Σ_a target(a) (log target(a) − log π(a)), to be minimised; the target is a constant.

    The forward divergence: its gradient is that of the cross-entropy −Σ_a target(a) log π(a), and it is zero exactly
    where the policy is the target. An action with target 0 adds nothing.
    """
    known = torch.special.xlogy(targets, targets)
    return (known - targets * action_logprobs).sum(-1)


@dataclass(frozen=True)
class SoftTarget:
    """Configuration of `soft_target`: it has no options. The targets are written by a piece of `rewards`."""

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "action_logprobs", "targets"})
    couples: ClassVar[Literal["token", "sequence"]] = "token"
    surrogate: ClassVar[bool] = False
    reads_advantages: ClassVar[bool] = False

    def soft(
        self,
        action_logprobs: Float[torch.Tensor, "tokens actions"],
        targets: Float[torch.Tensor, "tokens actions"],
    ) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised."""
        return soft_target(action_logprobs, targets)

    def __call__(
        self,
        logprobs: Float[torch.Tensor, "tokens"],
        old_logprobs: Float[torch.Tensor, "tokens"] | None,
        advantages: Float[torch.Tensor, "tokens"] | None,
        rollouts: Int[torch.Tensor, "tokens"],
    ) -> Float[torch.Tensor, "tokens"]:
        """The cross-entropy of hard labels: what `soft` is where each target is the token that was chosen."""
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
        return "KL(target ‖ π(·|s_t)) = Σ_a target_t(a) log(target_t(a) / π(a|s_t))"

    __repr__ = formula
