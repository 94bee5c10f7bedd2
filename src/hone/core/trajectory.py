"""Segments and trajectories: what was sampled, stored once per distinct segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
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
    `part` sets trajectories of one group apart that are normalised apart (abstractions and solutions); those of one
    `attempt` are one unit of credit (the decisions of one episode in an environment) and have one reward.
    `text` is the trimmed view of the actions; tokens are the truth. `readings` are numbers that the episode measured on
    its way, by name; `aside` are the ends of what it sampled besides, which is charged and not learnt from.
    """

    problem: Problem
    leaf: Segment
    text: str
    finish_reason: FinishReason
    labels: Mapping[str, int]
    sampler: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict | None = None
    readings: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    aside: tuple[Segment, ...] = ()

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


def cut(leaf: Segment, places: Sequence[int]) -> tuple[Segment, ...]:
    """The action segment `leaf` as a chain of segments that begin at its tokens 0 and `places`, parent first.

    Branches can start at the end of each, and share what is before. Raises ValueError for places that do not rise
    strictly between 0 and its length.
    """
    if leaf.kind != "action" or leaf.logprobs is None:
        raise ValueError(f"a segment of kind {leaf.kind} is not cut")
    edges = [0, *places, len(leaf.tokens)]
    if any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"places {list(places)} do not rise between 0 and {len(leaf.tokens)}")
    chain: list[Segment] = []
    for start, end in pairwise(edges):
        parent = chain[-1] if chain else leaf.parent
        tokens, logprobs = leaf.tokens[start:end], leaf.logprobs[start:end]
        chain.append(Segment(tokens, "action", parent, logprobs, leaf.role, leaf.version))
    return tuple(chain)
