"""REINFORCE: the reward itself, or the reward less the mean of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.core.options import require_choice

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_BASELINES = ("batch", "none")


def reinforce(
    values: Float[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    *,
    baseline: Literal["batch", "none"] = "batch",
) -> Float[torch.Tensor, "units"]:
    """A_i = r_i - mean over the batch of r (or r_i alone); `groups` is not read.

    Averaged over the U units of the batch, A_i times the score of unit i has expectation (1 - 1/U) times the
    gradient of the mean expected reward: a unit's own reward is in its baseline. Without baseline the factor
    is 1. A batch of equal values has zero advantage under the batch baseline.
    Source: Williams 1992; verl calls the batch-normalised relative `reinforce_plus_plus`.
    """
    require_choice("baseline", baseline, _BASELINES)
    if baseline == "none" or len(values) == 0:
        return values.clone()
    if values.min() == values.max():
        return torch.zeros_like(values)
    return values - values.mean()


@dataclass(frozen=True)
class Reinforce:
    """Configuration of `reinforce`."""

    baseline: Literal["batch", "none"] = "batch"

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = False
    min_group: ClassVar[int] = 1

    @property
    def min_batch(self) -> int:
        """Units a batch needs to differ from its mean."""
        return 2 if self.baseline == "batch" else 1

    def __post_init__(self) -> None:
        require_choice("baseline", self.baseline, _BASELINES)

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Advantages of the units."""
        return reinforce(values, groups, baseline=self.baseline)

    def formula(self) -> str:
        """The advantage in plain text."""
        return "A_i = r_i − mean(batch r)" if self.baseline == "batch" else "A_i = r_i"

    __repr__ = formula
