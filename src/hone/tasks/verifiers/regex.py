"""`regex`: a pattern says where in the text the answer stands."""

from __future__ import annotations

import re
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from hone.core.errors import TaskError
from hone.core.problem import Problem, Verdict
from hone.isolation.pool import Answer, pool
from hone.tasks.verifiers.contract import InWorkers
from hone.tasks.verifiers.exact import canonical
from hone.tasks.verifiers.reading import final, tail

SEARCHED = 100_000  # characters, from the end


@dataclass(frozen=True)
class Regex(InWorkers):
    """The answer is the last match of `pattern` (its first group, if it has groups), compared as `exact`
    does.

    Searched are the last 100,000 characters, for `seconds` at most: backtracking can take for ever, and is
    stopped.
    """

    pattern: str
    seconds: float = 5.0
    name: str = field(default="regex", init=False)

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise TaskError(
                f"The pattern {self.pattern!r} is no regular expression: {error}.", "Mend it."
            ) from None

    def parse(self, text: str) -> str | None:
        """The last match, or None. TimeoutError if the search takes longer than `seconds`."""
        return self._found(self._search(text).result())

    def gold(self, answer: Any) -> str:
        """The problem's answer as text; ValueError if it is empty."""
        text = canonical(str(answer))
        if not text:
            raise ValueError("the answer is empty")
        return text

    def same(self, a: str | None, b: str | None) -> bool:
        """String equality."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The string."""
        return answer or ""

    def ask(self, problem: Problem, text: str) -> Future[Answer]:
        """What the pattern finds in `text`. ValueError if the problem's answer is empty."""
        self.gold(problem.answer)
        return self._search(text)

    def read(self, problem: Problem, text: str, answer: Answer) -> Verdict:
        """Reward 1 if it is the problem's answer, else 0."""
        found = self._found(answer)
        detail = "" if found is not None else "no answer found"
        return Verdict(float(self.same(found, self.gold(problem.answer))), answer=found, detail=detail)

    def _search(self, text: str) -> Future[Answer]:
        args = (self.pattern, tail(text, SEARCHED))
        return pool("regex").submit("hone.tasks.verifiers.regex:last_match", args, self.seconds)

    @staticmethod
    def _found(answer: Answer) -> str | None:
        return None if answer.value is None else canonical(answer.value) or None


def last_match(pattern: str, text: str) -> str | None:
    """The first group of the last match of `pattern`, or the whole match if it has no groups."""
    compiled = re.compile(pattern)
    last = final(compiled.finditer(text))
    if last is None:
        return None
    return last[1] if compiled.groups else last[0]
