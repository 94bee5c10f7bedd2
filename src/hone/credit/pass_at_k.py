"""PKPO: what a unit adds to the best of k, averaged over the subsets of its group; the gradient of pass@k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.lazy import torch
from hone.core.options import require
from hone.core.packed import compact, segment_size
from hone.credit.rloo import rloo

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def pass_at_k(
    values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"], *, k: int = 8
) -> Float[torch.Tensor, "units"]:
    """A_i = N / C(N,k) sum over the k-subsets S that hold i of (max_S r - max_{S without i} r).

    Averaged over the N units of a group, A_i times the score of i is an unbiased estimate of the gradient of
    E[max of k rewards], which is pass@k for rewards of 0 and 1, for every 2 <= k <= N. With K successes among
    binary rewards, A = k C(N-K,k-1)/C(N-1,k-1) for a success and 0 for a failure. Real rewards of any range
    are allowed.

    Of the paper's three estimators this is s^(loo-1), n times: each subset is compared with itself without
    unit i, so the baseline is independent of i and tightly tied to it, which the paper measures to have the
    lowest variance. The plain one (no baseline) and s^(loo) (the estimate from the N - 1 other units) are not
    offered.

    For k = 1 the subset without i is empty, and the leave-one-out mean is the baseline: `rloo`. A group
    smaller than k permits no unbiased estimate and has zero advantage; so has a group of equal rewards.

    Source: Walder and Karkhanis 2025 (arXiv 2505.15201). The MaxRL comparison uses A / k.
    """
    _check_k(k)
    if k == 1:
        return rloo(values, groups)
    index, count = compact(groups)
    size = segment_size(index, count)
    order = torch.argsort(values, stable=True)
    order = order[torch.argsort(index[order], stable=True)]
    ranked = values[order].to(torch.float64)
    start = (size.cumsum(0) - size)[index[order]]
    below = torch.arange(len(values), device=values.device) - start  # members of the group ranked lower
    # The gain of a unit, summed by parts: each rise from one ranked value to the next is gained in the subsets
    # whose other k - 1 units all rank below the rise. No term is negative, and equal values cancel exactly.
    rise = torch.where(below > 0, ranked - ranked.roll(1), torch.zeros_like(ranked))
    gained = torch.cumsum(rise * _share_below(below, size[index[order]], k), 0)
    advantages = torch.zeros_like(ranked).scatter(0, order, k * (gained - gained[start]))
    return advantages.to(values.dtype)


def _share_below(
    below: Int[torch.Tensor, "units"], members: Int[torch.Tensor, "units"], k: int
) -> Float[torch.Tensor, "units"]:
    """C(below, k-1) / C(members - 1, k-1) in float64; 0 where fewer than k - 1 units are below."""

    def log_choose(n: Float[torch.Tensor, "units"]) -> Float[torch.Tensor, "units"]:
        n = n.to(torch.float64).clamp(min=k - 1)
        return torch.lgamma(n + 1) - torch.lgamma(n - k + 2)

    share = torch.exp(log_choose(below) - log_choose(members - 1))
    return torch.where(below >= k - 1, share, torch.zeros_like(share))


def _check_k(k: int) -> None:
    require("k", k, k >= 1, "a positive number of attempts")


@dataclass(frozen=True)
class PassAtK:
    """Configuration of `pass_at_k`."""

    k: int = 8

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = False
    fixed_groups: ClassVar[bool] = True  # the size of a group must not depend on its rewards

    def __post_init__(self) -> None:
        _check_k(self.k)

    @property
    def min_group(self) -> int:
        """Units a group needs to have a signal."""
        return max(self.k, 2)

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Advantages of the units."""
        return pass_at_k(values, groups, k=self.k)

    def formula(self) -> str:
        """The advantage in plain text."""
        if self.k == 1:
            return "A_i = r_i − mean_{j≠i}(group r_j)"
        return f"A_i = {self.k} · mean over {self.k}-subsets S∋i of the group of (max_S r − max_{{S∖i}} r)"

    __repr__ = formula
