"""PKPO: what a unit adds to the best of k, averaged over the subsets of its group; the gradient of pass@k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.lazy import torch
from hone.core.options import require
from hone.core.packed import compact, segment_constant, segment_min, segment_size
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
    start = (size.cumsum(0) - size)[index[order]]
    below = (
        torch.arange(len(values), device=values.device) - start
    )  # members of the group that are not larger
    members = size[index[order]]
    # A member with b others below it is the second best of a subset under some larger i in C(b, k-2) ways,
    # and the best itself in C(b, k-1) ways. Measured from the group's minimum, so that equal rewards cancel
    # exactly.
    raised = (values - segment_min(values, index, count)[index])[order].to(torch.float64)
    second = _binomial_share(below, k - 2, members, k)
    best = _binomial_share(below, k - 1, members, k)
    running = torch.cumsum(second * raised, 0)
    before = running - second * raised
    before_group = torch.cat([running.new_zeros(1), running])[start]
    sorted_advantages = k * (best * raised - (before - before_group))
    advantages = torch.zeros_like(raised).scatter(0, order, sorted_advantages).to(values.dtype)
    silent = segment_constant(values, index, count) | (size < k)
    return torch.where(silent[index], torch.zeros_like(values), advantages)


def _binomial_share(
    below: Int[torch.Tensor, "units"], chosen: int, members: Int[torch.Tensor, "units"], k: int
) -> Float[torch.Tensor, "units"]:
    """C(below, chosen) / C(members - 1, k - 1) in float64; 0 where either is not a choice."""
    possible = (below >= chosen) & (members >= k)
    b, n = below.to(torch.float64), (members - 1).to(torch.float64)
    log = _log_choose(b.clamp(min=chosen), chosen) - _log_choose(n.clamp(min=k - 1), k - 1)
    return torch.where(possible, log.exp(), torch.zeros_like(log))


def _log_choose(n: Float[torch.Tensor, "units"], chosen: int) -> Float[torch.Tensor, "units"]:
    m = torch.tensor(float(chosen), dtype=n.dtype, device=n.device)
    return torch.lgamma(n + 1) - torch.lgamma(m + 1) - torch.lgamma(n - m + 1)


def _check_k(k: int) -> None:
    require("k", k, k >= 1, "a positive number of attempts")


@dataclass(frozen=True)
class PassAtK:
    """Configuration of `pass_at_k`."""

    k: int = 8

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = False

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
