"""Answers of given lengths: which rollout gets how many tokens, and how an engine is made to keep to it.

A benchmark has to know how long answers are. Random weights end them anywhere, so no token ends an answer here: the
limit of its own request does, and each rollout is a request of its own. The engine is not told anything that it uses
to its advantage: it admits rollouts in the order of their requests, whatever their limits are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist
from typing import Any, Literal, get_args

import numpy as np

from hone.core.errors import EngineError, nearest
from hone.core.sampling import Completion, Engine, SampleRequest
from hone.policies.token_policy import TokenPolicy

Lengths = Literal["equal", "realistic"]
SPREAD = 1.0  # standard deviation of the logarithm of realistic lengths
SHARE = 0.25  # their mean, of the longest


def schedule(rollouts: int, longest: int, kind: Lengths, seed: int = 0) -> list[int]:
    """Sampled tokens of each rollout, at least 1 and at most `longest`.

    `equal` lengths are all `longest`. `realistic` ones are the quantiles of a log-normal distribution, cut at
    `longest`, with a mean of a quarter of it, in an order drawn from `seed`. Raises EngineError for another kind.
    """
    if kind not in get_args(Lengths):
        raise EngineError(f"There are no lengths `{kind}`.", nearest(kind, get_args(Lengths)))
    if kind == "equal":
        return [longest] * rollouts
    normal = NormalDist(0.0, SPREAD)
    quantiles = np.exp([normal.inv_cdf((i + 0.5) / rollouts) for i in range(rollouts)])
    low, high = 0.0, float(longest)  # the scale is sought at which the mean of the cut lengths is right
    for _ in range(40):
        scale = (low + high) / 2
        if _cut(quantiles, scale, longest).mean() < SHARE * longest:
            low = scale
        else:
            high = scale
    lengths = _cut(quantiles, high, longest)
    return [int(n) for n in np.random.default_rng(seed).permutation(lengths)]


def _cut(quantiles: np.ndarray, scale: float, longest: int) -> np.ndarray:
    return np.clip(np.rint(quantiles * scale), 1, longest).astype(int)


def endless(policy: TokenPolicy) -> None:
    """Let no token end an answer of `policy`. Engines that are made afterwards know of none."""
    policy.tokenizer.eos_token = None
    if getattr(policy.model, "generation_config", None) is not None:
        policy.model.generation_config.eos_token_id = None


class ScheduledEngine:
    """Gives rollout j of the group at place g of a step `lengths[g * G + j]` tokens, through `engine`.

    A request for the G rollouts of a group is passed on as G requests for one, each with its own limit, so a barrier
    of the engine waits for all of them.
    """

    def __init__(self, engine: Engine, lengths: Sequence[int], generations: int) -> None:
        self._engine = engine
        self._lengths = lengths
        self._generations = generations

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def expect(self, live: int) -> None:
        """Open a schedule with `live` groups."""
        self._engine.expect(live * self._generations)

    def join(self, count: int) -> None:
        """Refused: limits are given to groups, not to branches."""
        raise EngineError("A workload of the bench has no branches.", "Use a single-turn episode.")

    def leave(self) -> None:
        """One group has ended."""
        for _ in range(self._generations):
            self._engine.leave()

    async def sample(self, request: SampleRequest) -> list[Completion]:
        """The completions of one group. Raises EngineError if it is not one of the schedule's."""
        first = request.noise.path[-1] * self._generations
        limits = self._lengths[first : first + self._generations]
        if len(limits) != request.n:
            raise EngineError(
                f"A group asks for {request.n} rollouts, the schedule has {len(limits)} for it.",
                "Make the schedule for `problems` times `generations` rollouts.",
            )
        parts = [
            replace(
                request, n=1, params=replace(request.params, max_tokens=limit), noise=request.noise.child(j)
            )
            for j, limit in enumerate(limits)
        ]
        return [one for found in await asyncio.gather(*map(self._engine.sample, parts)) for one in found]

    def refresh(self) -> None:
        """Take the policy's present weights."""
        self._engine.refresh()
