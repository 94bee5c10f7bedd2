"""Soft-label cross-entropy: move the policy to stated probabilities of all its actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.lazy import torch
from hone.objectives.supervised import Supervised

if TYPE_CHECKING:
    from jaxtyping import Float


def soft_target(
    action_logprobs: Float[torch.Tensor, "tokens actions"], targets: Float[torch.Tensor, "tokens actions"]
) -> Float[torch.Tensor, "tokens"]:
    """KL(target ‖ π) = Σ_a target(a) (log target(a) − log π(a)), to be minimised; the target is a constant.

    The forward divergence: its gradient is that of the cross-entropy −Σ_a target(a) log π(a), and it is zero exactly
    where the policy is the target. An action with target 0 adds nothing. Both arguments are `[T, A]`: logprobs in nats,
    and probabilities that sum to 1 over A. Source: RICOL's update (arXiv 2602.17497), read second-hand.
    """
    known = torch.special.xlogy(targets, targets)
    return (known - targets * action_logprobs).sum(-1)


@dataclass(frozen=True)
class SoftTarget(Supervised):
    """Configuration of `soft_target`: it has no options. The targets are written by a piece of `rewards`.

    Called as other objectives are, it is the cross-entropy of hard labels: what `soft` is, up to a constant, where each
    target is the token that was chosen.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logprobs", "action_logprobs", "targets"})

    def soft(
        self,
        action_logprobs: Float[torch.Tensor, "tokens actions"],
        targets: Float[torch.Tensor, "tokens actions"],
    ) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised, in nats."""
        return soft_target(action_logprobs, targets)

    def formula(self) -> str:
        """The loss term in plain text."""
        return "KL(target ‖ π(·|s_t)) = Σ_a target_t(a) log(target_t(a) / π(a|s_t))"

    __repr__ = formula
