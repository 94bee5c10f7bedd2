"""Segments and trajectories: what was sampled, stored once per distinct segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hone.core.problem import Problem, Verdict

Kind = Literal["prompt", "action", "observation"]
FinishReason = Literal["stop", "length", "forced"]
Tokens = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Segment:
    """A run of tokens of one kind. Identity is by object: two trajectories that share a segment share the object.

    `logprobs[t]` are the sampler's, under the exact sampling distribution, for `action` segments only; `version` is
    the weight version that sampled them.
    """

    tokens: Tokens
    kind: Kind
    parent: Segment | None = None
    logprobs: npt.NDArray[np.float32] | None = None
    role: str = "policy"
    version: int = 0

    def __post_init__(self) -> None:
        if len(self.tokens) == 0:
            raise ValueError("a segment has at least one token")
        if (self.kind == "action") != (self.logprobs is not None):
            raise ValueError("an action segment carries the sampler's logprobs, and no other segment does")
        if self.logprobs is not None and len(self.logprobs) != len(self.tokens):
            raise ValueError(f"{len(self.tokens)} tokens but {len(self.logprobs)} logprobs")

    def __repr__(self) -> str:
        return f"Segment({self.kind}, {len(self.tokens)} tokens)"

    def path(self) -> tuple[Segment, ...]:
        """Root first, this segment last."""
        out: list[Segment] = []
        node: Segment | None = self
        while node is not None:
            out.append(node)
            node = node.parent
        return tuple(reversed(out))


@dataclass(frozen=True)
class Trajectory:
    """A path of segments with its verdict.

    `labels` are integers that later stages group by: `group` (which group of attempts within the step, the default
    unit of credit), `rollout` (index within its group), and whatever an episode adds (variant, branch, turn, item).
    `text` is the trimmed view of the actions; tokens are the truth.
    """

    problem: Problem
    leaf: Segment
    text: str
    finish_reason: FinishReason
    labels: Mapping[str, int]
    sampler: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict | None = None

    def __repr__(self) -> str:
        # Event loops print what their tasks return; arrays have no place there.
        return f"Trajectory({self.problem.id}, {self.num_actions} actions, {self.finish_reason})"

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The path from the root."""
        return self.leaf.path()

    @property
    def num_actions(self) -> int:
        """Tokens chosen by a policy along the path."""
        return sum(len(s.tokens) for s in self.segments if s.kind == "action")

    @property
    def truncated(self) -> bool:
        """Whether the length limit, not the policy, ended it."""
        return self.finish_reason == "length"
