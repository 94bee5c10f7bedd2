"""Demonstrations of abstractions and of solutions that follow them: the warm start of RLAD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from hone.core.errors import TaskError
from hone.core.parts import Part
from hone.core.problem import Problem, Prompt
from hone.core.stages import Context, Request
from hone.core.trajectory import Segment, Trajectory
from hone.episodes.abstraction import ASK, SOLVE
from hone.episodes.demonstration import Demonstration
from hone.episodes.templates import ABSTRACTION, PROBLEM, check_template, fill

COLUMN = "abstraction"


@runtime_checkable
class Outliner(Protocol):
    """A task that can say in short what an answer does, without saying all of it."""

    def outline(self, problem: Problem, text: str) -> str:
        """The abstraction that an answer follows; empty where there is nothing to say."""
        ...


@dataclass(frozen=True)
class AbstractionDemonstration:
    """`count` demonstrations of each problem, three trajectories each: abstraction, answer with it, answer without.

    Answers are those of `demonstration` (oracles, or a solver's of mixed quality). The abstraction is the file's column
    `abstraction`, or the task's `outline` of the answer: one that leads astray goes with an answer that goes astray, so
    that what is learnt is to follow. Prompts are made as in `abstraction`.
    """

    mix: Mapping[str, float] = field(default_factory=dict)
    abstraction_prompt: str = ASK
    solution_prompt: str = SOLVE
    samples: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_template("episode.abstraction_prompt", self.abstraction_prompt, PROBLEM, without=ABSTRACTION)
        check_template("episode.solution_prompt", self.solution_prompt, PROBLEM, ABSTRACTION)

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """Abstractions, answers that follow them, and plain answers, as action segments that no policy sampled."""
        out: list[Trajectory] = []
        for shown in await Demonstration(self.mix)(request, context):
            outline = self._outline(request.problem, shown.text, context)
            ask = fill(self.abstraction_prompt, request.shown, {})
            follow = fill(self.solution_prompt, request.shown, {ABSTRACTION: outline})
            if outline:
                out.append(_written(request, context, ask, outline, Part.ABSTRACTION, len(out)))
                out.append(_written(request, context, follow, shown.text, Part.SOLUTION, len(out)))
            out.append(_written(request, context, request.shown, shown.text, Part.BARE, len(out)))
        return out

    def _outline(self, problem: Problem, text: str, context: Context) -> str:
        columns = problem.meta.get("columns", {})  # of a file
        if COLUMN in columns:
            return str(columns[COLUMN] or "").strip()
        if isinstance(context.task, Outliner):
            return context.task.outline(problem, text)
        raise TaskError(
            f"Task `{context.task.name}` has no abstractions to learn from.",
            f"Give its file a column `{COLUMN}`, or use a task with an `outline`, such as maze or countdown.",
        )


def _written(
    request: Request, context: Context, prompt: Prompt, text: str, part: Part, rollout: int
) -> Trajectory:
    tokens = context.encode_answer(text)
    root = Segment(context.encode(prompt), "prompt")
    leaf = Segment(tokens, "action", root, np.zeros(len(tokens), np.float32))
    labels = {"group": request.group, "rollout": rollout, "variant": request.variant, "part": int(part)}
    return Trajectory(request.problem, leaf, text, "stop", labels)
