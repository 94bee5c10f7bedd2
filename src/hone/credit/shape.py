"""Links of a credit chain: centre, scale and clip values that another piece has made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.lazy import torch
from hone.core.options import require, require_choice
from hone.core.packed import compact, segment_constant, segment_mean, segment_std

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Over = Literal["group", "batch"]
Std = Literal["sample", "population"]
_OVER = ("group", "batch")
_STD = ("sample", "population")


def _segments(groups: Int[torch.Tensor, "units"], over: str) -> tuple[Int[torch.Tensor, "units"], int]:
    """The segments that statistics are taken over: each group, or the whole batch as one."""
    require_choice("over", over, _OVER)
    return compact(groups if over == "group" else torch.zeros_like(groups))


def centre(
    values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"], *, over: Over = "group"
) -> Float[torch.Tensor, "units"]:
    """v_i - mean v, over the group or the batch; exactly zero where all values are equal."""
    index, count = _segments(groups, over)
    centred = values - segment_mean(values, index, count)[index]
    return torch.where(segment_constant(values, index, count)[index], torch.zeros_like(values), centred)


def scale(
    values: Float[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    *,
    over: Over = "batch",
    std: Std = "sample",
    std_epsilon: float = 1e-4,
) -> Float[torch.Tensor, "units"]:
    """v_i / (std v + std_epsilon), over the group or the batch.

    `std` divides the squares by N - 1 (`sample`) or N (`population`). Where all values are equal there is no
    scale, and they are left as they are. `std_epsilon` is TRL's 1e-4; verl uses 1e-6.
    """
    require_choice("std", std, _STD)
    index, count = _segments(groups, over)
    spread = segment_std(values, index, count, sample=std == "sample")
    constant = segment_constant(values, index, count)
    return values / torch.where(constant, torch.ones_like(spread), spread + std_epsilon)[index]


def clip(
    values: Float[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    *,
    low: float = -float("inf"),
    high: float = float("inf"),
) -> Float[torch.Tensor, "units"]:
    """Limit v_i to [low, high]; `groups` is not read."""
    return values.clamp(low, high)


@dataclass(frozen=True)
class Centre:
    """Configuration of `centre`. A unit's own value is in the mean: centring rewards scales the gradient by 1
    - 1/N."""

    over: Over = "group"

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = False
    min_batch: ClassVar[int] = 2

    def __post_init__(self) -> None:
        require_choice("over", self.over, _OVER)

    @property
    def min_group(self) -> int:
        """Units a group needs to differ from its mean."""
        return 2 if self.over == "group" else 1

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Centred values."""
        return centre(values, groups, over=self.over)

    def formula(self) -> str:
        """The link in plain text."""
        return f"v_i − mean({self.over} v)"

    __repr__ = formula


@dataclass(frozen=True)
class Scale:
    """Configuration of `scale`. The divisor depends on the sample, so no stated objective has this
    gradient."""

    over: Over = "batch"
    std: Std = "sample"
    std_epsilon: float = 1e-4

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = True
    min_batch: ClassVar[int] = 2

    def __post_init__(self) -> None:
        require_choice("over", self.over, _OVER)
        require_choice("std", self.std, _STD)
        require(
            "std_epsilon", self.std_epsilon, 0 <= self.std_epsilon < float("inf"), "0 or more, and finite"
        )

    @property
    def min_group(self) -> int:
        """Units a group needs to have a spread."""
        return 2 if self.over == "group" else 1

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Scaled values."""
        return scale(values, groups, over=self.over, std=self.std, std_epsilon=self.std_epsilon)

    def formula(self) -> str:
        """The link in plain text."""
        return f"v_i / ({self.std} std({self.over} v) + {self.std_epsilon:g})"

    __repr__ = formula


@dataclass(frozen=True)
class Clip:
    """Configuration of `clip`."""

    low: float = -float("inf")
    high: float = float("inf")

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = True
    min_group: ClassVar[int] = 1

    def __post_init__(self) -> None:
        require("low", self.low, self.low < self.high, f"below `high`, which is {self.high!r}")
        limited = self.low > -float("inf") or self.high < float("inf")
        require("low", self.low, limited, "a number where `high` is none: without a limit nothing is clipped")

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Clipped values."""
        return clip(values, groups, low=self.low, high=self.high)

    def formula(self) -> str:
        """The link in plain text."""
        return f"clip(v_i, {self.low:g}, {self.high:g})"

    __repr__ = formula
