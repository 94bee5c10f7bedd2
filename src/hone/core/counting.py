"""The one place that counts what a loss is averaged over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hone.core.lazy import torch
from hone.core.packed import segment_sum

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


@dataclass(frozen=True, eq=False)
class Counts:
    """What the kept rollouts of one update amount to, over all its micro-batches.

    `ids[P]` are the sorted ids of the problems (groups) that have a kept rollout; `tokens_of[P]` and
    `rollouts_of[P]` are counted per problem. `tokens`, `rollouts` and `problems` are the totals.
    """

    tokens: int
    rollouts: int
    problems: int
    ids: Int[torch.Tensor, "problems"]
    tokens_of: Int[torch.Tensor, "problems"]
    rollouts_of: Int[torch.Tensor, "problems"]

    def problem_index(self, groups: Int[torch.Tensor, "rollouts"]) -> Int[torch.Tensor, "rollouts"]:
        """Where each group id stands in `ids`. Only meaningful for groups that have a kept rollout."""
        return torch.searchsorted(self.ids, groups).clamp(max=max(self.problems - 1, 0))


def count(
    lengths: Int[torch.Tensor, "rollouts"],
    groups: Int[torch.Tensor, "rollouts"],
    kept: Bool[torch.Tensor, "rollouts"],
) -> Counts:
    """Count the kept rollouts of a whole update: every denominator of every reduction comes from here.

    `lengths` are action tokens per rollout, `groups` any integer ids. A rollout that is not kept is in no
    count, and a problem without kept rollouts is not a problem of this update.
    """
    ids, index = torch.unique(groups[kept], return_inverse=True)
    problems = len(ids)
    kept_lengths = lengths[kept]
    return Counts(
        tokens=int(kept_lengths.sum()),
        rollouts=int(kept.sum()),
        problems=problems,
        ids=ids,
        tokens_of=segment_sum(kept_lengths, index, problems),
        rollouts_of=segment_sum(torch.ones_like(kept_lengths), index, problems),
    )
