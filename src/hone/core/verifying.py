"""Asks a verifier about many texts: all at once where it can, else one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeGuard

from hone.core.problem import Problem, Verdict


class Verifies(Protocol):
    """What a task and a verifier have in common."""

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge one text."""
        ...

    def parse(self, text: str) -> Any:
        """The answer that `text` gives, or None."""
        ...

    def same(self, a: Any, b: Any) -> bool:
        """Whether two answers mean the same."""
        ...

    def key(self, answer: Any) -> str:
        """A string under which equal answers are grouped."""
        ...


class VerifiesMany(Protocol):
    """A verifier that judges in workers, and so many texts side by side."""

    async def verify_all(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each of `texts[R]`, in their order."""
        ...


def judges_many(verifier: Verifies) -> TypeGuard[VerifiesMany]:
    """Whether `verifier` judges in workers. Asked for every rollout, so it is no `isinstance` of a protocol."""
    return hasattr(verifier, "verify_all")


async def verify_all(
    verifier: Verifies, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
) -> list[Verdict]:
    """One verdict for each of `texts[R]`, attempts at `problems[R]`, in their order."""
    if judges_many(verifier):
        return await verifier.verify_all(problems, texts, trainer_state)
    return [verifier.verify(p, t) for p, t in zip(problems, texts, strict=True)]
