"""Units of credit: what gets one advantage, and which units are normalised together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hone.core.batch import Batch
from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.packed import compact, segment_max, segment_min

if TYPE_CHECKING:
    from jaxtyping import Int

GroupBy = Literal["variant", "problem"]


@dataclass(frozen=True)
class Units:
    """`of[R]` is the unit of a rollout, `first[U]` a rollout of each unit, `groups[U]` what it is compared within."""

    of: Int[torch.Tensor, "rollouts"]
    first: Int[torch.Tensor, "units"]
    groups: Int[torch.Tensor, "units"]


def _numbered(keys: Int[torch.Tensor, "rollouts columns"]) -> Int[torch.Tensor, "rollouts"]:
    """The place of every row among the distinct rows in order. Column by column: whole rows sort slowly."""
    places = torch.zeros(len(keys), dtype=torch.long)
    for column in keys.T:
        kinds, kind = torch.unique(column, return_inverse=True)
        places = torch.unique(places * len(kinds) + kind, return_inverse=True)[1]
    return places


def units(batch: Batch, by: GroupBy = "variant") -> Units:
    """The units of a batch: its rollouts, or whole attempts where several trajectories are one.

    With `by="variant"` every group of the step is normalised apart, and every part of it; with `by="problem"` groups
    of the same problem are one. Raises RewardError for an attempt whose trajectories have different rewards: which of
    them would it be credited with?
    """
    groups = batch.groups
    if by == "problem":
        place: dict[str, int] = {}
        ids = [place.setdefault(t.problem.id, len(place)) for t in batch.trajectories]
        groups = torch.tensor(ids, dtype=torch.long)
    whole = torch.stack([groups, batch.parts], 1)
    apart, _ = compact(_numbered(whole))
    keys = torch.stack([batch.groups, batch.parts, batch.attempts], 1)
    of = _numbered(keys)
    count = int(of.max()) + 1 if len(of) else 0
    rewards = torch.where(batch.ok, batch.rewards, 0.0).double()
    if bool((segment_max(rewards, of, count) > segment_min(rewards, of, count)).any()):
        raise RewardError(
            "The trajectories of one attempt have different rewards.",
            "Give every trajectory of an attempt the reward of the whole attempt.",
        )
    first = torch.full((count,), len(of), dtype=torch.long).scatter_reduce(
        0, of, torch.arange(len(of)), "amin"
    )
    return Units(of, first, apart[first])
