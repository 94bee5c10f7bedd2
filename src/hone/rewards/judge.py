"""Judges: who says what an answer is worth, and which answers are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from hone.core.problem import Problem, Verdict
from hone.core.scoring import Form
from hone.core.verifying import Verifies, judges_many, verify_all


class Scores(Protocol):
    """A reward function, in workers or in the trainer."""

    @property
    def form(self) -> Form:
        """How it is called."""
        ...

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each text."""
        ...


@dataclass(frozen=True)
class TaskJudge:
    """The verdicts of a task, or of a verifier in its place."""

    verifier: Verifies
    independent: ClassVar[bool] = True

    @property
    def aside(self) -> bool:
        """Whether the verifier judges in workers."""
        return judges_many(self.verifier)

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict a text."""
        return await verify_all(self.verifier, problems, texts, trainer_state)

    def same(self, a: Any, b: Any) -> bool:
        """The verifier's equality."""
        return self.verifier.same(a, b)

    def key(self, answer: Any) -> str:
        """The verifier's key."""
        return self.verifier.key(answer)


@dataclass(frozen=True)
class CallableJudge:
    """The rewards of a user's function; answers are parsed and compared by the task."""

    reward: Scores
    task: Verifies
    aside: ClassVar[bool] = True  # in workers, or in a thread of its own

    @property
    def independent(self) -> bool:
        """A TRL-style function sees all texts at once and may compare them; every other form sees one."""
        return self.reward.form != "trl"

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """The function's verdicts, with the task's parsed answer where the function gave none."""
        verdicts = await self.reward.score(problems, texts, trainer_state)
        return [
            v if v.answer is not None or v.status != "ok" else replace(v, answer=self.task.parse(t))
            for v, t in zip(verdicts, texts, strict=True)
        ]

    def same(self, a: Any, b: Any) -> bool:
        """The task's equality."""
        return self.task.same(a, b)

    def key(self, answer: Any) -> str:
        """The task's key."""
        return self.task.key(answer)
