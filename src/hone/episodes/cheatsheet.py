"""The joint form of RLAD: one answer that holds an abstraction between tags, and then the solution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from hone.core.options import require
from hone.core.stages import Context, Episode, Request
from hone.core.trajectory import Trajectory
from hone.episodes.single_turn import SingleTurn
from hone.episodes.templates import PROBLEM, check_template, fill

ASK = (
    "{problem}\n\nFirst write a short note on how to go about it between <cheatsheet> and </cheatsheet>. Then solve "
    "the problem with its help."
)


@dataclass(frozen=True)
class Cheatsheet:
    """Every rollout writes its own abstraction, `opening`...`closing`, and is judged by what follows it.

    An answer that does not begin with `opening`, or never says `closing`, is judged as an empty text: the form is part
    of what is learnt. Evaluation asks in the same way.
    Source: RLAD-Joint of the released code of arXiv 2510.02263, an extension that is not in the paper.
    """

    prompt: str = ASK
    opening: str = "<cheatsheet>"
    closing: str = "</cheatsheet>"

    samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_template("episode.prompt", self.prompt, PROBLEM)
        for key in ("opening", "closing"):
            require(f"episode.{key}", getattr(self, key), bool(getattr(self, key)), "some text")

    @property
    def evaluation(self) -> Episode:
        """How a policy that was trained so is evaluated."""
        return self

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """`request.count` answers, whose text is what stands after the abstraction."""
        asked = replace(request, prompt=fill(self.prompt, request.shown, {}))
        return [replace(t, text=self.solution(t.text)) for t in await SingleTurn()(asked, context)]

    def solution(self, text: str) -> str:
        """What follows the abstraction, or nothing if the form was not kept."""
        body = text.lstrip()
        if not body.startswith(self.opening):
            return ""
        _, found, rest = body.removeprefix(self.opening).partition(self.closing)
        return rest.strip() if found else ""
