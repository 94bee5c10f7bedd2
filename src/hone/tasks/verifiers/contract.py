"""What every verifier offers, and the one way in which a verdict is reached from it."""

from __future__ import annotations

from typing import Any, Protocol

from hone.core.loading import describe
from hone.core.problem import Problem, Verdict
from hone.tasks.isolated import ChildError


class Verifier(Protocol):
    """Reads answers out of texts and knows which of them are equal."""

    @property
    def name(self) -> str:
        """What a recipe calls it."""
        ...

    def parse(self, text: str) -> Any:
        """The answer that `text` gives, or None."""
        ...

    def gold(self, answer: Any) -> Any:
        """A problem's `answer` in the form that `parse` returns. ValueError with the reason if it has none."""
        ...

    def same(self, a: Any, b: Any) -> bool:
        """Whether two parsed answers mean the same; never true of None."""
        ...

    def key(self, answer: Any) -> str:
        """A string that is equal wherever `same` is true."""
        ...

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge `text` as an attempt at `problem`. Never raises."""
        ...


def judge(verifier: Verifier, problem: Problem, text: str) -> Verdict:
    """Reward 1 if the answer in `text` is the same as the problem's, 0 if it is another or there is none.

    An exception is status `error`, a time-out is status `timeout`; both keep the traceback in `detail`.
    """
    try:
        gold = verifier.gold(problem.answer)
        answer = verifier.parse(text)
        right = answer is not None and verifier.same(answer, gold)
    except Exception as error:
        return failed(error)
    return Verdict(float(right), answer=answer, detail="" if answer is not None else "no answer found")


def failed(error: Exception) -> Verdict:
    """The verdict for an exception, one that happened in a child process included."""
    detail = str(error) if isinstance(error, ChildError) else describe(error)
    return Verdict(None, "timeout" if isinstance(error, TimeoutError) else "error", detail=detail)
