"""Policies that run out of memory where a test wants it."""

from __future__ import annotations

from typing import Any

import torch

from hone.policies.token_policy import Scores, TokenPolicy

SAID = "CUDA out of memory. Tried to allocate 2.00 GiB.\nOf the allocated memory 70 GiB is allocated."


class _FailsBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError(SAID)


def starve(
    policy: TokenPolicy, calls: tuple[int, ...] = (), above: int | None = None, backward: bool = False
) -> list[int]:
    """Let `policy.score` fail in the given calls (counted from 1), and for forests of more than `above` tokens.

    Returns the list in which the stored tokens of every call are written down.
    """
    whole, sizes = policy.score, []

    def score(forest: Any, *args: Any, **options: Any) -> Scores:
        sizes.append(forest.num_stored)
        fails = len(sizes) in calls or (above is not None and forest.num_stored > above)
        if fails and not backward:
            raise torch.OutOfMemoryError(SAID)
        found = whole(forest, *args, **options)
        return Scores(_FailsBackward.apply(found.logprobs), found.entropy, found.values) if fails else found

    policy.score = score  # type: ignore[method-assign]
    return sizes
