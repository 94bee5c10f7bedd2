"""GRPO: the reward less the group mean, divided by a standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.core.options import require, require_choice
from hone.core.packed import compact, segment_constant, segment_std
from hone.credit.shape import centre

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_SCALES = ("group", "batch", "none")
_STD = ("sample", "population")


def grpo(
    values: Float[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    *,
    scale: Literal["group", "batch", "none"] = "group",
    std: Literal["sample", "population"] = "sample",
    std_epsilon: float = 1e-4,
) -> Float[torch.Tensor, "units"]:
    """A_i = (r_i - mean of its group) / (std + std_epsilon).

    `scale` says whose standard deviation: of the rewards of the group, of the rewards of the whole batch, or
    none (Dr. GRPO: the gradient of the expected reward times 1 - 1/N). Divided by a standard deviation the
    update is in general the gradient of no stated objective; for rewards of 0 and 1 the group form is grad p
    with a weight that depends on p and N, for large N that of 2 arcsin(sqrt p). A group whose values are all
    equal has zero advantage; it is found by comparing the values. `std_epsilon` 1e-4 is TRL's, verl has 1e-6;
    `std` is the sample one in both, the population one in parts of the literature.
    Source: Shao et al. 2024 (arXiv 2402.03300); Liu et al. 2025 (arXiv 2503.20783) for `none`.
    TRL `scale_rewards`; verl `adv_estimator=grpo`, `norm_adv_by_std_in_grpo`.
    """
    require_choice("scale", scale, _SCALES)
    centred = centre(values, groups)
    if scale == "none":
        return centred
    index, count = compact(groups if scale == "group" else torch.zeros_like(groups))
    spread = segment_std(values, index, count, sample=std == "sample") + std_epsilon
    # Where all values are equal the centred ones are exact zeros: dividing them by 1 keeps std_epsilon = 0
    # allowed.
    constant = segment_constant(values, index, count)
    return centred / torch.where(constant, torch.ones_like(spread), spread)[index]


@dataclass(frozen=True)
class Grpo:
    """Configuration of `grpo`."""

    scale: Literal["group", "batch", "none"] = "group"
    std: Literal["sample", "population"] = "sample"
    std_epsilon: float = 1e-4

    needs: ClassVar[frozenset[str]] = frozenset()
    min_group: ClassVar[int] = 2

    def __post_init__(self) -> None:
        require_choice("scale", self.scale, _SCALES)
        require_choice("std", self.std, _STD)
        require(
            "std_epsilon", self.std_epsilon, 0 <= self.std_epsilon < float("inf"), "0 or more, and finite"
        )

    @property
    def surrogate(self) -> bool:
        """Unscaled, the expected update is a gradient up to the factor 1 - 1/N."""
        return self.scale != "none"

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Advantages of the units."""
        return grpo(values, groups, scale=self.scale, std=self.std, std_epsilon=self.std_epsilon)

    def formula(self) -> str:
        """The advantage in plain text."""
        if self.scale == "none":
            return "A_i = r_i − mean(group r)"
        return f"A_i = (r_i − mean(group r)) / ({self.std} std({self.scale} r) + {self.std_epsilon:g})"

    __repr__ = formula
