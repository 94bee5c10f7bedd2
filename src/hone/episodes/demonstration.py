"""The demonstration episode: answers written by a solver or kept as oracles, for supervised training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from hone.core.errors import TaskError
from hone.core.problem import Problem, stable_hash
from hone.core.stages import Context, Request
from hone.core.trajectory import Segment, Trajectory


@runtime_checkable
class Demonstrator(Protocol):
    """A task whose solver writes answers of a stated quality."""

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """The text of one demonstration, a pure function of its arguments."""
        ...


@dataclass(frozen=True)
class Demonstration:
    """`count` demonstrations of each problem, their quality drawn from `mix` (quality -> weight).

    Without a mix every demonstration is the problem's `oracle`. A problem without one is a TaskError.
    """

    mix: Mapping[str, float] = field(default_factory=dict)
    samples: ClassVar[bool] = False

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """Demonstrations as action segments; their behaviour logprobs are zero, no policy sampled them."""
        prompt = Segment(context.encode(request.problem.prompt), "prompt")
        out = []
        for i in range(request.count if self.mix else 1):
            text = self._write(
                request.problem, context, context.noise.child(request.group, i).path, context.noise.step
            )
            tokens = context.encode_answer(text)
            leaf = Segment(tokens, "action", prompt, np.zeros(len(tokens), np.float32))
            labels = {"group": request.group, "rollout": i, "variant": request.variant}
            out.append(Trajectory(request.problem, leaf, text, "stop", labels))
        return out

    def _write(self, problem: Problem, context: Context, path: tuple[int, ...], step: int) -> str:
        if not self.mix:
            if problem.oracle is None:
                raise TaskError(
                    f"Problem {problem.id} of `{problem.task}` has no oracle to learn from.",
                    "Name the column of reference solutions (`task.oracle=...`).",
                )
            return problem.oracle
        if not isinstance(context.task, Demonstrator):
            raise TaskError(
                f"Task `{context.task.name}` has no solver that writes demonstrations.",
                "Leave `episode.mix` out to learn from oracles.",
            )
        seed = stable_hash(context.noise.seed, step, path)
        names = sorted(self.mix)
        weights = np.array([self.mix[name] for name in names], dtype=float)
        pick = np.random.default_rng(seed).choice(len(names), p=weights / weights.sum())
        return context.task.demonstrate(problem, seed, names[pick])
