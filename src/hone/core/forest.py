"""The packed forest: every distinct segment once, flat and unpadded, with what attention needs to know of the tree.

Axes: `N` stored tokens (each distinct segment once), `T` action tokens listed rollout after rollout (a shared action
token is listed once for each rollout that owns it, so its gradient is the sum of what its descendants owe it),
`R` rollouts, `S` segments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hone.core.lazy import torch
from hone.core.trajectory import Segment, Trajectory

if TYPE_CHECKING:
    from jaxtyping import Int

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Family:
    """The children of one segment: they share `context` (flat indices of every ancestor token, in order)."""

    context: IntArray
    queries: IntArray


@dataclass(frozen=True)
class Forest:
    """Trajectories packed for one forward pass."""

    tokens: Int[torch.Tensor, "stored"]
    positions: Int[torch.Tensor, "stored"]
    action_index: Int[torch.Tensor, "tokens"]  # where an action token is stored
    predictor: Int[torch.Tensor, "tokens"]  # the stored index whose hidden state predicts it
    rollout_of: Int[torch.Tensor, "tokens"]
    lengths: Int[torch.Tensor, "rollouts"]  # action tokens of each rollout
    segments: tuple[tuple[int, int], ...]  # (start, length) of each stored segment
    families: tuple[Family, ...]

    @property
    def num_stored(self) -> int:
        """Tokens that are computed."""
        return len(self.tokens)

    @property
    def pairs(self) -> int:
        """Tokens that all tokens read in attention: each its ancestors, and its own segment up to itself."""
        own = sum(length * (length + 1) // 2 for _, length in self.segments)
        return own + sum(len(f.context) * len(f.queries) for f in self.families)


def pack(trajectories: Sequence[Trajectory]) -> Forest:
    """Store every distinct segment of `trajectories` once: children after their parent, siblings side by side.

    Families are in the order of their queries.

    Raises ValueError for an action token that nothing precedes: its logprob has no hidden state to come from.
    """
    children: dict[Segment | None, list[Segment]] = {}
    seen: set[Segment] = set()
    for trajectory in trajectories:
        for segment in trajectory.segments:
            if segment not in seen:
                seen.add(segment)
                children.setdefault(segment.parent, []).append(segment)

    start: dict[Segment, int] = {}
    context: dict[Segment, IntArray] = {}  # flat indices of the path down to and including the segment
    tokens: list[npt.NDArray[np.int32]] = []
    positions: list[IntArray] = []
    segments: list[tuple[int, int]] = []
    families: list[Family] = []
    stored = 0
    # Level by level, siblings side by side: what a family's attention reads and writes is one run of places.
    queue = deque(children.get(None, []))
    while queue:
        segment = queue.popleft()
        before = context[segment.parent] if segment.parent is not None else np.empty(0, np.int64)
        size = len(segment.tokens)
        own = np.arange(stored, stored + size)
        start[segment] = stored
        tokens.append(segment.tokens)
        positions.append(np.arange(len(before), len(before) + size))
        segments.append((stored, size))
        stored += size
        offspring = children.get(segment)
        if offspring:
            context[segment] = np.concatenate([before, own])
            queue.extend(offspring)
    for parent in context:
        queries = [np.arange(start[c], start[c] + len(c.tokens)) for c in children[parent]]
        families.append(Family(context[parent], np.concatenate(queries)))

    index, predictor, lengths = _actions(trajectories, start)
    return Forest(
        tokens=torch.from_numpy(np.concatenate(tokens).astype(np.int64)),
        positions=torch.from_numpy(np.concatenate(positions)),
        action_index=torch.from_numpy(index),
        predictor=torch.from_numpy(predictor),
        rollout_of=torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)),
        lengths=torch.from_numpy(lengths),
        segments=tuple(segments),
        families=tuple(families),
    )


def _actions(
    trajectories: Sequence[Trajectory], start: dict[Segment, int]
) -> tuple[IntArray, IntArray, IntArray]:
    """Flat indices of the action tokens of each rollout, of their predictors, and how many each rollout has."""
    index: list[IntArray] = [np.empty(0, np.int64)]
    predictor: list[IntArray] = [np.empty(0, np.int64)]
    lengths = np.zeros(len(trajectories), np.int64)
    for r, trajectory in enumerate(trajectories):
        for segment in trajectory.segments:
            if segment.kind != "action":
                continue
            if segment.parent is None:
                raise ValueError("an action segment needs a prompt before it")
            own = np.arange(start[segment], start[segment] + len(segment.tokens))
            last = start[segment.parent] + len(segment.parent.tokens) - 1
            index.append(own)
            predictor.append(np.concatenate([[last], own[:-1]]))
            lengths[r] += len(own)
    return np.concatenate(index), np.concatenate(predictor), lengths
