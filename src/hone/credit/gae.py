"""Generalised advantage estimation: token advantages from token rewards and a value estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hone.core.errors import DataError
from hone.core.lazy import torch
from hone.core.options import require

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def gae(
    rewards: Float[torch.Tensor, "tokens"],
    values: Float[torch.Tensor, "tokens"],
    rollouts: Int[torch.Tensor, "tokens"],
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
    bootstrap: Float[torch.Tensor, "rollouts"] | None = None,
) -> tuple[Float[torch.Tensor, "tokens"], Float[torch.Tensor, "tokens"]]:
    """Advantages and returns of every token.

    delta_t = r_t + gamma V_{t+1} - V_t, A_t = delta_t + gamma lam A_{t+1}, return_t = A_t + V_t. V_t is the
    value of the state in which token t is chosen; r_t is paid after it.

    The tokens of a rollout are contiguous and in order; `rollouts` are any ids that change from one rollout
    to the next. The state after a rollout's last token is worth `bootstrap[r]`, r counted in order of
    appearance: 0 (the default) for an ended answer, the value estimate of the next state for one that a
    length limit cut off. Leaving it 0 for a cut rollout teaches that the limit is a failure.

    With exact values the expected update is the policy gradient for every lam (gamma 1); with a learned
    critic only lam = 1 is unbiased, so the piece is a surrogate. Advantages are detached from `values`.
    Source: Schulman et al. 2016 (arXiv 1506.02438). verl `adv_estimator=gae`; TRL `PPOConfig` gamma, lam.
    """
    if not (len(rewards) == len(values) == len(rollouts)):
        raise DataError(
            f"gae got {len(rewards)} rewards, {len(values)} values and {len(rollouts)} rollout ids.",
            "It needs one of each for every token.",
        )
    if len(rewards) == 0:
        return rewards.clone(), rewards.clone()
    values = values.detach()
    row, lengths = _rows(rollouts)
    count, longest = len(lengths), int(lengths.max())
    if bootstrap is None:
        bootstrap = values.new_zeros(count)
    if len(bootstrap) != count:
        raise DataError(
            f"gae got {len(bootstrap)} bootstrap values for {count} rollouts.", "It needs one a rollout."
        )
    # Rows are aligned at their ends, so that one backward sweep over columns serves rollouts of every length.
    start = (lengths.cumsum(0) - lengths)[row]
    column = torch.arange(len(rewards), device=rewards.device) - start + (longest - lengths)[row]
    grid_r = rewards.new_zeros(count, longest).index_put((row, column), rewards)
    grid_v = values.new_zeros(count, longest).index_put((row, column), values)
    grid_a = torch.empty_like(grid_v)
    following, carried = bootstrap.to(values.dtype), values.new_zeros(count)
    for t in range(longest - 1, -1, -1):
        carried = grid_r[:, t] + gamma * following - grid_v[:, t] + gamma * lam * carried
        grid_a[:, t] = carried
        following = grid_v[:, t]
    advantages = grid_a[row, column]
    return advantages, advantages + values


def _rows(
    rollouts: Int[torch.Tensor, "tokens"],
) -> tuple[Int[torch.Tensor, "tokens"], Int[torch.Tensor, "rollouts"]]:
    """Index of each token's rollout in order of appearance, and the rollouts' lengths."""
    ids, row, lengths = torch.unique_consecutive(rollouts, return_inverse=True, return_counts=True)
    if len(torch.unique(ids)) != len(ids):
        raise DataError(
            "gae got a rollout whose tokens are not next to each other.",
            "Sort the tokens by rollout, then position.",
        )
    return row, lengths


@dataclass(frozen=True)
class Gae:
    """Configuration of `gae`."""

    gamma: float = 1.0
    lam: float = 0.95

    needs: ClassVar[frozenset[str]] = frozenset({"values"})
    surrogate: ClassVar[bool] = True
    min_group: ClassVar[int] = 1

    def __post_init__(self) -> None:
        require("gamma", self.gamma, 0 <= self.gamma <= 1, "in [0, 1]")
        require("lam", self.lam, 0 <= self.lam <= 1, "in [0, 1]")

    def __call__(
        self,
        rewards: Float[torch.Tensor, "tokens"],
        values: Float[torch.Tensor, "tokens"],
        rollouts: Int[torch.Tensor, "tokens"],
        bootstrap: Float[torch.Tensor, "rollouts"] | None = None,
    ) -> tuple[Float[torch.Tensor, "tokens"], Float[torch.Tensor, "tokens"]]:
        """Advantages and returns of the tokens."""
        return gae(rewards, values, rollouts, gamma=self.gamma, lam=self.lam, bootstrap=bootstrap)

    def formula(self) -> str:
        """The advantage in plain text."""
        return (
            f"A_t = Σ_j ({self.gamma:g}·{self.lam:g})^j δ_{{t+j}}, δ_t = r_t + {self.gamma:g} V_{{t+1}} − V_t"
        )

    __repr__ = formula
