"""RLOO: the reward less the mean reward of the other members of its group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.lazy import torch
from hone.core.packed import compact, segment_constant, segment_mean, segment_size

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def rloo(
    values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
) -> Float[torch.Tensor, "units"]:
    """A_i = r_i - mean_{j != i} r_j = N/(N-1) (r_i - mean r), within each group of N units.

    The baseline is independent of unit i, so A_i times the score of i, averaged over the group, is an
    unbiased estimate of the gradient of the expected reward for every N >= 2. A group of size 1, or of equal
    values, has zero advantage.
    Source: Kool et al. 2019; Ahmadian et al. 2024 (arXiv 2402.14740). TRL `RLOOTrainer`; verl
    `adv_estimator=rloo`.
    """
    index, count = compact(groups)
    size = segment_size(index, count).to(values.dtype)
    factor = size / (size - 1).clamp(min=1)
    centred = (values - segment_mean(values, index, count)[index]) * factor[index]
    return torch.where(segment_constant(values, index, count)[index], torch.zeros_like(values), centred)


@dataclass(frozen=True)
class Rloo:
    """Configuration of `rloo`: it has no options."""

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = False
    min_group: ClassVar[int] = 2

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Advantages of the units."""
        return rloo(values, groups)

    def formula(self) -> str:
        """The advantage in plain text."""
        return "A_i = r_i − mean_{j≠i}(group r_j)"

    __repr__ = formula
