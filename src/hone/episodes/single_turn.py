"""The single-turn episode: a prompt, and `count` answers to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from hone.core.stages import Context, Request
from hone.core.trajectory import Segment, Trajectory


@dataclass(frozen=True)
class SingleTurn:
    """Every rollout of a group answers the same prompt, which is stored once."""

    samples: ClassVar[bool] = True

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """`request.count` answers of the role `policy`."""
        first = len(request.drawn)
        if first:
            prompt = request.drawn[0].segments[0]
        else:
            prompt = Segment(context.encode(request.shown), "prompt")
        noise = replace(context.noise.child(request.group), draw=first)
        answers = await context.role("policy").sample(prompt, request.count, context.params, noise)
        return [
            Trajectory(
                problem=request.problem,
                leaf=answer.segment,
                text=request.prefix_text + context.decode(answer.segment.tokens),
                finish_reason=answer.finish_reason,
                labels={"group": request.group, "rollout": first + i, "variant": request.variant},
            )
            for i, answer in enumerate(answers)
        ]
