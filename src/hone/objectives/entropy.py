"""The entropy bonus: a reward for keeping the next token undecided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.lazy import torch

if TYPE_CHECKING:
    from jaxtyping import Float


def entropy_bonus(entropy: Float[torch.Tensor, "tokens"], *, coef: float) -> Float[torch.Tensor, "tokens"]:
    """-coef H_t, to be minimised; H_t in nats is the entropy of the distribution that token t was drawn from.

    Differentiated through H_t at the visited states: the effect of the policy on which states are visited is
    left out, as everywhere in the field. TRL `entropy_coef`; verl `entropy_coeff`.
    """
    return -coef * entropy


@dataclass(frozen=True)
class EntropyBonus:
    """Configuration of `entropy_bonus`. A negative `coef` lowers the entropy."""

    coef: float = 0.0

    needs: ClassVar[frozenset[str]] = frozenset({"entropy"})
    surrogate: ClassVar[bool] = True

    def __call__(self, entropy: Float[torch.Tensor, "tokens"]) -> Float[torch.Tensor, "tokens"]:
        """Terms to be minimised."""
        return entropy_bonus(entropy, coef=self.coef)

    def formula(self) -> str:
        """The loss term in plain text."""
        return f"−{self.coef:g} H_t"

    __repr__ = formula
