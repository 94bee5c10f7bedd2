"""What verifiers that call a user's function share: it runs in workers, which can be killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from hone.core.errors import RewardError
from hone.core.problem import Problem, Verdict
from hone.core.scoring import Form
from hone.isolation.functions import WorkerFunction
from hone.isolation.pool import MEMORY_GIB
from hone.isolation.values import failed
from hone.tasks.verifiers.exact import Exact

_EXACT = Exact()


@dataclass(frozen=True)
class FunctionVerifier:
    """Calls `source`, `path/to/module.py:function`, in workers; `seconds` and `memory_gib` limit a call.

    The function's value is the reward; None is `not_applicable`. Since it judges texts, not answers, votes use the text
    at the answer mark, as `exact` does. RewardError at construction if the function cannot be loaded or its parameters
    are not of the verifier's form. `WorkerFunction` says what the limits are by default.
    """

    source: str
    seconds: float | None = None
    memory_gib: float = MEMORY_GIB
    name: str = field(default="", init=False)
    function: WorkerFunction = field(init=False, repr=False, compare=False)
    forms: ClassVar[tuple[Form, ...]] = ()

    def __post_init__(self) -> None:
        function = WorkerFunction(self.source, self.seconds, self.memory_gib)
        kind = type(self).__name__.lower()
        if function.form not in self.forms:
            other = {"trl": "trl", "verl": "verl"}.get(function.form, "python")
            raise RewardError(
                f"`{self.source}` is not of the form of `{kind}`.", f"Use `{other}:{self.source}`."
            )
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "name", f"{kind}:{self.source}")

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
        """The function's judgement; an exception, a time-out, a value that is no reward is a status."""
        try:
            return self._answered(text, self.function.read(self.function.ask([problem], [text], {}), 1)[0])
        except Exception as error:
            return failed(error)

    async def verify_all(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each of `texts[R]`; RewardError if the function refuses these problems."""
        verdicts = await self.function.score(problems, texts, trainer_state)
        return [self._answered(t, v) for t, v in zip(texts, verdicts, strict=True)]

    @staticmethod
    def _answered(text: str, verdict: Verdict) -> Verdict:
        if verdict.status == "ok" and verdict.answer is None:
            return replace(verdict, answer=_EXACT.parse(text))
        return verdict
