"""Which groups have signal: the one place that says so of trajectories and of batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from hone.core.batch import Batch
from hone.core.lazy import torch
from hone.core.packed import compact, segment_max, segment_min
from hone.core.trajectory import Trajectory

if TYPE_CHECKING:
    from jaxtyping import Bool


def by_group(trajectories: Iterable[Trajectory]) -> dict[int, list[Trajectory]]:
    """The trajectories of each group, in the order of the groups' numbers."""
    found: dict[int, list[Trajectory]] = {}
    for t in trajectories:
        found.setdefault(t.labels["group"], []).append(t)
    return dict(sorted(found.items()))


def has_signal(group: Iterable[Trajectory]) -> bool:
    """Whether two ok verdicts of a judged group differ in their reward: for rewards of 0 and 1, a success and a
    failure."""
    return len({t.verdict.reward for t in group if t.verdict is not None and t.verdict.status == "ok"}) > 1


def with_signal(batch: Batch) -> Bool[torch.Tensor, "rollouts"]:
    """Whether the group of each rollout has signal, from the rewards of a judged batch."""
    index, count = compact(batch.groups)
    ok, rewards = index[batch.ok], batch.rewards[batch.ok]
    return (segment_max(rewards, ok, count) > segment_min(rewards, ok, count))[index]
