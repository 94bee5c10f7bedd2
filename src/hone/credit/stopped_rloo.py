"""RLOO for groups that were stopped early: the weights that make the estimate unbiased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.options import require
from hone.core.packed import compact, segment_size, segment_sum

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def stopped_rloo(
    values: Float[torch.Tensor, "units"],
    groups: Int[torch.Tensor, "units"],
    *,
    per_round: int = 4,
    num_generations: int = 16,
) -> Float[torch.Tensor, "units"]:
    """Advantages of groups that were drawn in rounds of m = `per_round` units and stopped after the first round that
    left them with a success and a failure, or at n = `num_generations`.

    Averaged over the N units of a group, A_i times the score of i is an unbiased estimate of grad p, the gradient of
    the expected reward, whatever p is. With K successes, F = N − K failures, J = n / m rounds at most, and a group that
    stopped in round j = N / m:

    - j = 1: as `rloo`, F/(m−1) for a success and −K/(m−1) for a failure.
    - j > 1, failures first (F >= K): with g = (J − j + 1) / J, gj for a success and −gjK/F for a failure.
      Successes first: the mirror image.
    - a success that is alone in its group has N/n, in every round; so has, negative, a failure that is alone.
    - a group that never had both has 0.

    Why: a group with K successes and F failures has probability c p^K q^F, and a score has mean grad p / p given a
    success, −grad p / q given a failure. So unbiased means Σ c p^(K−1) q^(F−1) (K a q + F b p) = 1 for every p, with
    a = A/N of a success and b = −A/N of a failure. The first round alone solves it with `rloo`. Taking the share g_2
    from a lone success there takes g_2 q^(m−1) away, which is g_2 times what groups that begin with m failures yield;
    they in turn leave g_3 to those that begin with 2m. Any 1 >= g_2 >= g_3 ... >= 0 does. Equal steps give lone
    successes the weight 1/n wherever they come, as in a group of n.

    What it buys: whatever the rule and the weights, variance times expected units is at least p q for an unbiased
    estimate, with scores of mean square 1 (Cauchy-Schwarz and Wald), and `rloo` with n units is at n/(n−1) of that. So
    at equal units stopping can gain next to nothing on fixed groups. For m = 4, n = 16 these weights are at 1.21, 1.37,
    2.09, 2.70 times p q for p = 0.5, 0.3, 0.1, 0.01, and fixed groups at 1.07: more variance for the same tokens.

    Values are 0 or 1, else RewardError. Verdicts that are not ok leave groups of other sizes: then the theorem does
    not hold, and a group counts to the round that its size fills or begins.
    The expectations hold where tokens are summed and problems weigh the same (`problem_sum`). Derived here.
    """
    if ((values != 0) & (values != 1)).any():
        raise RewardError(
            "stopped_rloo got a reward other than 0 and 1; its weights count successes and failures.",
            "Use a reward of 0 or 1, or `curriculum: uniform` with `rloo`.",
        )
    index, count = compact(groups)
    size = segment_size(index, count).to(torch.float64)
    successes = segment_sum(values.to(torch.float64), index, count)
    failures = size - successes
    up = _of_the_few(successes, failures, per_round, num_generations)
    down = _of_the_few(failures, successes, per_round, num_generations)
    # Whoever is fewer came last. What the many get in return is a share of the same weight, as long as nobody is alone.
    late = size > per_round
    share = _share(size, per_round, num_generations)
    many = torch.where(
        late, share * torch.minimum(successes, failures) / torch.maximum(successes, failures), 0.0
    )
    up = torch.where(late & (successes > failures) & (failures > 0), many, up)
    down = torch.where(late & (failures > successes) & (successes > 0), many, down)
    mixed = (successes > 0) & (failures > 0)
    up, down = (torch.where(mixed, one, 0.0)[index] for one in (up, down))
    return torch.where(values > 0, up, -down).to(values.dtype)


def _share(
    size: Float[torch.Tensor, "groups"], per_round: int, num_generations: int
) -> Float[torch.Tensor, "groups"]:
    """g j: the part of the late weights that round j hands out, times N / m."""
    rounds = num_generations / per_round
    j = torch.ceil(size / per_round)
    return (rounds - j + 1) / rounds * j


def _of_the_few(
    mine: Float[torch.Tensor, "groups"],
    theirs: Float[torch.Tensor, "groups"],
    per_round: int,
    num_generations: int,
) -> Float[torch.Tensor, "groups"]:
    """Weight of each of `mine`, where they are the fewer, or in a first round."""
    size = mine + theirs
    early = theirs / (size - 1).clamp(min=1)
    weight = torch.where(size > per_round, _share(size, per_round, num_generations), early)
    return torch.where(mine == 1, size / num_generations, weight)


@dataclass(frozen=True)
class StoppedRloo:
    """Configuration of `stopped_rloo`: both numbers are those of `curriculum: early_stop`."""

    per_round: int = 4
    num_generations: int = 16

    needs: ClassVar[frozenset[str]] = frozenset()
    surrogate: ClassVar[bool] = False
    min_group: ClassVar[int] = 2
    pass_rates: ClassVar[bool] = True  # values are read as successes and failures
    of_stopped_groups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require("credit.per_round", self.per_round, self.per_round >= 2, "at least 2")

    def __call__(
        self, values: Float[torch.Tensor, "units"], groups: Int[torch.Tensor, "units"]
    ) -> Float[torch.Tensor, "units"]:
        """Advantages of the units."""
        return stopped_rloo(values, groups, per_round=self.per_round, num_generations=self.num_generations)

    def formula(self) -> str:
        """The advantage in plain text."""
        n, m = self.num_generations, self.per_round
        return (
            f"A_i = ±N/{n} alone, else as rloo for N = {m}, "
            f"else w = (1 − (N−{m})/{n}) N/{m} for the fewer and w·fewer/more for the others, ± by r_i"
        )

    __repr__ = formula
