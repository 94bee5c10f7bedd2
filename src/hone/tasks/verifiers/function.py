"""What verifiers that call a user's function share: it runs in a process that can be killed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hone.core.errors import RewardError
from hone.core.loading import load_callable
from hone.core.problem import Problem, Verdict
from hone.core.scoring import Form, form_of, score_all
from hone.tasks.isolated import child
from hone.tasks.verifiers.contract import failed
from hone.tasks.verifiers.exact import Exact

_EXACT = Exact()


@dataclass(frozen=True)
class FunctionVerifier:
    """Calls `source`, `path/to/module.py:function`, in a process of its own for `seconds` at most.

    The function's value is the reward, any finite number; None is `not_applicable`. Since it judges texts,
    not answers, votes use the text at the answer mark, as `exact` does. RewardError at construction if the
    function cannot be loaded or its parameters are not of the verifier's form.
    """

    source: str
    seconds: float = 60.0
    name: str = field(default="", init=False)
    forms: ClassVar[tuple[Form, ...]] = ()

    def __post_init__(self) -> None:
        form = form_of(load_callable(self.source), self.source)
        if form not in self.forms:
            name = type(self).__name__.lower()
            kind = {"trl": "trl", "verl": "verl"}.get(form, "python")
            raise RewardError(
                f"`{self.source}` is not of the form of `{name}`.", f"Use `{kind}:{self.source}`."
            )
        object.__setattr__(self, "name", f"{type(self).__name__.lower()}:{self.source}")

    def parse(self, text: str) -> str | None:
        """The text at the answer mark, or all of it."""
        return _EXACT.parse(text)

    def gold(self, answer: Any) -> Any:
        """The answer as it is: the function knows its form."""
        return answer

    def same(self, a: str | None, b: str | None) -> bool:
        """String equality."""
        return _EXACT.same(a, b)

    def key(self, answer: str | None) -> str:
        """The string."""
        return _EXACT.key(answer)

    def verify(self, problem: Problem, text: str) -> Verdict:
        """The function's judgement; an exception, a time-out, a value that is not finite is a status."""
        args = (self.source, problem, text, self.seconds)
        try:
            verdict: Verdict = child(self.source).call(
                "hone.tasks.verifiers.function:score_one", args, self.seconds, needs=(self.source,)
            )
        except Exception as error:
            return failed(error)
        return verdict


def score_one(source: str, problem: Problem, text: str, seconds: float) -> Verdict:
    """The verdict of the function `source` on one text. Runs in the child."""
    function = load_callable(source)
    verdict = asyncio.run(score_all(function, source, [problem], [text], {}, seconds))[0]
    if verdict.status == "ok" and verdict.answer is None:
        return Verdict(verdict.reward, answer=_EXACT.parse(text), parts=verdict.parts, detail=verdict.detail)
    return verdict
