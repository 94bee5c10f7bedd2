"""Scoring passes without gradient: old logprobs, reference logprobs, values."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hone.core.forest import pack
from hone.core.trajectory import Trajectory
from hone.policies.token_policy import Scores, TokenPolicy
from hone.training.microbatch import microbatches


@torch.no_grad()
def score(
    policy: TokenPolicy,
    trajectories: Sequence[Trajectory],
    temperature: float,
    max_tokens: int,
    *,
    values: bool = False,
) -> Scores:
    """Logprobs `[T]` (and values `[T]`) of all action tokens, in the order of `trajectories`, on the CPU."""
    groups = [t.labels.get("group", 0) for t in trajectories]
    parts: dict[int, tuple[torch.Tensor, torch.Tensor | None]] = {}
    for chosen in microbatches(trajectories, groups, max_tokens):
        scores = policy.score(pack([trajectories[i] for i in chosen]), temperature, values=values)
        lengths = [trajectories[i].num_actions for i in chosen]
        logprobs = scores.logprobs.cpu().split(lengths)
        predicted = scores.values.cpu().split(lengths) if scores.values is not None else [None] * len(chosen)
        parts.update(zip(chosen, zip(logprobs, predicted)))
    ordered = [parts[i] for i in range(len(trajectories))]
    return Scores(
        logprobs=torch.cat([p[0] for p in ordered]),
        values=torch.cat([p[1] for p in ordered if p[1] is not None]) if values else None,
    )
