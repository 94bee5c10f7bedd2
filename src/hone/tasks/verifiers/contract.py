"""What every verifier offers, and the ways in which a verdict is reached from it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from hone.core.problem import Problem, Verdict
from hone.isolation.pool import Answer
from hone.isolation.values import failed


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


class InWorkers(ABC):
    """A verifier whose judgement is made in workers: it says what to ask, and what the answer means."""

    @abstractmethod
    def ask(self, problem: Problem, text: str) -> Future[Answer] | Verdict:
        """The call that judges `text`, or the verdict where none is needed."""

    @abstractmethod
    def read(self, problem: Problem, text: str, answer: Answer) -> Verdict:
        """The verdict that an answer means."""

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge `text` as an attempt at `problem`. An exception, a time-out, a crash is a status. Never raises."""
        return self._settled(problem, text, self._asked(problem, text))

    async def verify_all(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each of `texts[R]`, in their order, judged side by side."""
        asked = [self._asked(p, t) for p, t in zip(problems, texts, strict=True)]
        calls = [asyncio.wrap_future(one) for one in asked if isinstance(one, Future)]
        await asyncio.gather(*calls, return_exceptions=True)
        return [self._settled(p, t, one) for p, t, one in zip(problems, texts, asked, strict=True)]

    def _asked(self, problem: Problem, text: str) -> Future[Answer] | Verdict:
        try:
            return self.ask(problem, text)
        except Exception as error:
            return failed(error)

    def _settled(self, problem: Problem, text: str, asked: Future[Answer] | Verdict) -> Verdict:
        if isinstance(asked, Verdict):
            return asked
        try:
            return self.read(problem, text, asked.result())
        except Exception as error:
            return failed(error)
