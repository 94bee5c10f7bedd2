"""MaxRL: the reward less the group mean, divided by the group mean; log pass rate, to an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.options import require, require_choice
from hone.core.packed import compact, segment_constant, segment_mean, segment_size, segment_sum

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_WEIGHTS = ("maclaurin", "subset")


def maxrl(
    values: Float[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    *,
    order: int | None = None,
    weights: Literal["maclaurin", "subset"] = "maclaurin",
    control: float = 0.0,
    floor: float = 0.0,
) -> Float[torch.Tensor, "units"]:
    """Advantages whose average over a group of N units ascends J_T = -sum_{k=1..T} (1-p)^k / k, log p to
    order T.

    grad J_T = sum_{k<=T} grad pass@k / k = (1 - (1-p)^T)/p grad p: T = 1 is expected reward, T to infinity
    log p. With K successes and F = N - K failures among the N units of a group:

    - `order=None`, the published form: A_i = (r_i - mean r) / mean r, zero where all r are equal. Its
      expectation is grad J_{N-1} exactly. The mean includes unit i, and a group without successes has no
      signal.
    - `order=T`, `weights="maclaurin"`: A = 1 for a success and -sum_{k=2..min(T,F)} C(F-1,k-1)/C(N-1,k-1) for
      a failure. Expectation grad J_T for every T <= N.
    - `order=T`, `weights="subset"`: A = (N/K) (1 - C(F,T)/C(N,T)) for a success and 0 for a failure, what
      averaging the mean score of the successes over all subsets of T units comes to. Expectation grad J_T;
      T = N divides by K.
    - `control` subtracts a constant from every unit of every group, also of those without successes: the mean
      score has mean zero, so the expectation stays. `order=N, weights="subset", control=1` is r_i N/K - 1.
    - `floor`, with `order=None` only: A_i = (r_i - mean r) / max(mean r, floor), which bounds A by 1/floor;
      0.125 is the authors' value. It follows another curve than log p where p is small, and is then a
      surrogate.

    A group smaller than T takes T = N. Values lie in [0, 1], else RewardError. The order-T weights need 0 or
    1. A fractional value in the published form gives a self-normalised estimate of grad log E[r], biased for
    finite N, which the paper does not claim.

    The expectations hold where each rollout's tokens are summed and rollouts averaged (`sequence_sum`).
    Source: Tajwar, Zeng et al. 2026 (arXiv 2602.02710). The order N - 1 of the published form and the closed
    form of the subset weight are derived here and checked by enumeration.
    """
    _check_options(order, weights, control, floor)
    _check_values(values, binary=order is not None)
    index, count = compact(groups)
    if order is None:
        mean = segment_mean(values, index, count)
        constant = segment_constant(values, index, count)
        divisor = torch.where(constant, torch.ones_like(mean), mean.clamp(min=floor))[index]
        return torch.where(constant[index], torch.zeros_like(values), (values - mean[index]) / divisor)
    size = segment_size(index, count).to(torch.float64)
    successes = segment_sum(values.to(torch.float64), index, count)
    weigh = _maclaurin if weights == "maclaurin" else _subset
    success, failure = weigh(size, size - successes, order)
    return torch.where(values > 0, success[index], failure[index]).to(values.dtype) - control


def _maclaurin(
    size: Float[torch.Tensor, "groups"], failures: Float[torch.Tensor, "groups"], order: int
) -> tuple[Float[torch.Tensor, "groups"], Float[torch.Tensor, "groups"]]:
    """Advantage of a success and of a failure."""
    steps = torch.arange(order - 1, dtype=size.dtype, device=size.device)
    # Column j of the running product is C(F-1, j+1) / C(N-1, j+1); it is 0 from j+1 = F on.
    fractions = (failures[:, None] - 1 - steps).clamp(min=0) / (size[:, None] - 1 - steps).clamp(min=1)
    return torch.ones_like(size), -fractions.cumprod(dim=1).sum(dim=1)


def _subset(
    size: Float[torch.Tensor, "groups"], failures: Float[torch.Tensor, "groups"], order: int
) -> tuple[Float[torch.Tensor, "groups"], Float[torch.Tensor, "groups"]]:
    """Advantage of a success and of a failure."""
    steps = torch.arange(order, dtype=size.dtype, device=size.device)
    # C(F, T) / C(N, T): the share of subsets of T units without a success.
    none = ((failures[:, None] - steps).clamp(min=0) / (size[:, None] - steps).clamp(min=1)).prod(dim=1)
    successes = (size - failures).clamp(min=1)
    return size / successes * (1 - none), torch.zeros_like(size)


def _check_options(order: int | None, weights: str, control: float, floor: float) -> None:
    require_choice("weights", weights, _WEIGHTS)
    require("order", order, order is None or order >= 1, "None (the published form) or a positive integer")
    require("floor", floor, 0 <= floor < 1, "in [0, 1)")
    require("floor", floor, order is None or floor == 0, "0 when `order` is given")
    require("control", control, order is not None or control == 0, "0 unless `order` is given")
    require("control", control, abs(control) < float("inf"), "finite")


def _check_values(values: Float[torch.Tensor, "units"], *, binary: bool) -> None:
    wrong = (values != 0) & (values != 1) if binary else ~((values >= 0) & (values <= 1))
    if wrong.any():
        rule = "0 or 1 when `order` is given" if binary else "in [0, 1]"
        raise RewardError(
            f"maxrl got a reward of {values[wrong][0].item():g}; it divides by the mean reward of a group, "
            f"read as a pass rate, so rewards must be {rule}.",
            "Rescale the reward, or use `rloo` or `grpo`, which take any reward.",
        )


@dataclass(frozen=True)
class Maxrl:
    """Configuration of `maxrl`."""

    order: int | None = None
    weights: Literal["maclaurin", "subset"] = "maclaurin"
    control: float = 0.0
    floor: float = 0.0

    needs: ClassVar[frozenset[str]] = frozenset()
    pass_rates: ClassVar[bool] = True  # values are read as pass rates, from 0 to 1

    def __post_init__(self) -> None:
        _check_options(self.order, self.weights, self.control, self.floor)

    @property
    def surrogate(self) -> bool:
        """A floor leaves the stated objective."""
        return self.floor > 0

    @property
    def fixed_groups(self) -> bool:
        """Whether the size of a group must not depend on its rewards: the weights of an order count subsets of it."""
        return self.order is not None

    @property
    def min_group(self) -> int:
        """Units a group needs: two for a baseline, or as many as the order."""
        return 2 if self.order is None else self.order

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Advantages of the units."""
        return maxrl(
            values, groups, order=self.order, weights=self.weights, control=self.control, floor=self.floor
        )

    def formula(self) -> str:
        """The advantage in plain text."""
        less = f" − {self.control:g}" if self.control else ""
        if self.order is None:
            mean = f"max(mean(group r), {self.floor:g})" if self.floor else "mean(group r)"
            return f"A_i = (r_i − mean(group r)) / {mean}"
        if self.weights == "subset":
            return f"A_i = r_i (N/K) (1 − C(N−K,{self.order})/C(N,{self.order})){less}"
        return f"A_i = r_i − (1−r_i) Σ_{{k=2..min({self.order},N−K)}} C(N−K−1,k−1)/C(N−1,k−1){less}"

    __repr__ = formula
