"""`math`: the answer is an expression; mathematical equality is decided by math-verify."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from hone.core.problem import Problem, Verdict
from hone.isolation.pool import Answer, pool
from hone.tasks.verifiers.contract import InWorkers
from hone.tasks.verifiers.reading import plain, tail

SEARCHED = 10_000  # characters, from the end: the extraction is quadratic in the number of numbers
_HERE = "hone.tasks.verifiers.math"


@dataclass(frozen=True)
class Math(InWorkers):
    """Equality as math-verify decides it: `1/2`, `0.5`, `50%` and `$\\frac{1}{2}$` are the same.

    LaTeX is read between `$`, `\\(`, `\\[` or in `\\boxed{}`; plain numbers anywhere. Searched are the last
    10,000 characters. A call that takes longer than `seconds` is stopped and is a time-out.
    """

    seconds: float = 10.0
    name: str = field(default="math", init=False)

    def parse(self, text: str) -> str | None:
        """The answer as LaTeX, or None. TimeoutError or WorkerError if it cannot be decided."""
        return self._submit("read_answer", plain(tail(text, SEARCHED))).result().value

    def gold(self, answer: Any) -> str:
        """The problem's answer as text; ValueError if it is empty. Reading it is left to `verify`."""
        text = str(answer).strip()
        if not text:
            raise ValueError("the answer is empty")
        return text

    def same(self, a: str | None, b: str | None) -> bool:
        """Mathematical equality of two parsed answers."""
        return a is not None and b is not None and (a == b or self._submit("equal", a, b).result().value)

    def key(self, answer: str | None) -> str:
        """One key for all: no cheaper form of an expression is equal wherever the expressions are."""
        return "" if answer is None else "expression"

    def ask(self, problem: Problem, text: str) -> Future[Answer]:
        """Whether the expression in `text` equals the problem's."""
        return self._submit("judged", self.gold(problem.answer), plain(tail(text, SEARCHED)))

    def read(self, problem: Problem, text: str, answer: Answer) -> Verdict:
        """Reward 1 if it does, else 0."""
        right, found = answer.value
        return Verdict(float(right), answer=found, detail="" if found is not None else "no answer found")

    def _submit(self, function: str, *args: str) -> Future[Answer]:
        return pool("math").submit(f"{_HERE}:{function}", args, self.seconds, needs=["math_verify"])


def read_answer(text: str) -> str | None:
    """What math-verify reads in `text`, as LaTeX. Runs in a worker."""
    return _latex(_read(text))


def equal(a: str, b: str) -> bool:
    """Whether two answers that `read_answer` returned are equal. Runs in a worker."""
    return _equal(_read_gold(a), _read_gold(b))


def judged(gold: str, text: str) -> tuple[bool, str | None]:
    """Whether `text` gives the answer `gold`, and what it gives. Runs in a worker."""
    answer = _read(text)
    return bool(answer) and _equal(_read_gold(gold), answer), _latex(answer)


def _read(text: str) -> list[Any]:
    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that the limit is now ours
    # Its own limit is a signal, which exists in main threads only; an exception must reach the verdict.
    return parse(text, parsing_timeout=None, raise_on_error=True) if text.strip() else []


def _read_gold(text: str) -> list[Any]:
    has_mark = "$" in text or "\\boxed" in text or "\\(" in text or "\\[" in text
    escaped = text.replace("\\%", "%").replace("%", "\\%")
    found = _read(text) if has_mark else _read(f"${escaped}$")
    if not found:
        raise ValueError(f"the answer {text[:80]!r} is no expression that math-verify reads")
    return found


def _equal(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    return verify(gold, answer, timeout_seconds=None, raise_on_error=True)


def _latex(found: list[Any]) -> str | None:
    from sympy import latex

    if not found:
        return None
    return found[0] if isinstance(found[0], str) else latex(found[0])
