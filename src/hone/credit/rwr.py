"""RWR: reward-weighted regression, the exponential of the reward as a weight of what was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.lazy import torch
from hone.core.options import require

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def rwr(
    values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"], *, temperature: float = 0.2
) -> Float[torch.Tensor, "units"]:
    """w_i = exp(r_i / τ) / mean over the batch of exp(r_j / τ); `groups` is not read.

    As an advantage under `policy_gradient` it is the weighted regression −w_i log π: the policy is fitted to what it
    did, more to what was rewarded. Weights are positive and their mean is 1; rewards that differ by a constant weigh
    the same. In a batch of equal rewards there is nothing to prefer, so its weights are zero, where the plain formula
    would imitate all of it. It is the gradient of no stated objective: weights are of a sampled batch.
    Source: Peters and Schaal 2007; as a baseline, arXiv 2602.17497.
    """
    if len(values) == 0 or values.min() == values.max():
        return torch.zeros_like(values)
    weights = torch.exp((values - values.max()) / temperature)
    return weights / weights.mean()


@dataclass(frozen=True)
class Rwr:
    """Configuration of `rwr`. A small `temperature` learns from the best rollouts alone."""

    temperature: float = 0.2

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = True
    min_group: ClassVar[int] = 1
    min_batch: ClassVar[int] = 2

    def __post_init__(self) -> None:
        require("temperature", self.temperature, self.temperature > 0, "above 0")

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Weights of the units."""
        return rwr(values, groups, temperature=self.temperature)

    def formula(self) -> str:
        """The weight in plain text."""
        return f"A_i = exp(r_i/{self.temperature:g}) / mean(batch exp(r_j/{self.temperature:g}))"

    __repr__ = formula
