"""A user's function that judges texts, called in workers: it can be stopped, and its file is never imported here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hone.core.errors import RewardError
from hone.core.loading import load_callable
from hone.core.problem import Problem, Verdict
from hone.core.scoring import Form, form_of, score_all, seconds_for
from hone.isolation import values
from hone.isolation.pool import IMPORT_SECONDS, MEMORY_GIB, Answer, Pool, WorkerError, pool
from hone.isolation.worker import with_mend

_HERE = "hone.isolation.functions"


@dataclass(frozen=True)
class WorkerFunction:
    """`source`, `path/to/module.py:function`, in workers of `memory_gib` GiB of address space each.

    A call may take `seconds`; None is 60 for one text, and 600 for the list form, which is called once for all texts.
    Other forms are spread over the workers, one text a call. A worker that takes too long, crashes or runs out of
    memory is replaced. It calls the function in its main thread, where signals work, and does not load torch.
    RewardError at construction if the function cannot be loaded or has no known form.
    """

    source: str
    seconds: float | None = None
    memory_gib: float = MEMORY_GIB
    form: Form = field(init=False)
    _where: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for key in ("seconds", "memory_gib"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                raise RewardError(f"`reward.{key}` is {value}.", "It must be above 0.")
        file, colon, name = self.source.rpartition(":")
        # With its whole path: workers outlive a change of folder.
        where = f"{Path(file).expanduser().resolve()}:{name}" if colon else self.source
        object.__setattr__(self, "_where", where)
        try:
            form = self._pool.call(f"{_HERE}:form", [self._where, self.source], IMPORT_SECONDS)
        except (WorkerError, TimeoutError) as error:
            raise RewardError(
                f"`{self.source}` cannot be loaded: {' '.join(str(error).split())[:500]}.",
                "Run it with `python` to see what it does.",
            ) from None
        object.__setattr__(self, "form", form)
        object.__setattr__(self, "seconds", seconds_for(self.form, self.seconds))

    @property
    def _pool(self) -> Pool:
        return pool(self._where, self.memory_gib)

    def ask(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> Future[Answer]:
        """One call for all of `texts`, attempts at `problems`; the answer is for `read`.

        RewardError if the problems are no JSON values.
        """
        assert self.seconds is not None  # resolved at construction
        given = [values.problem_value(p) for p in problems]
        args = [self._where, self.source, given, list(texts), dict(trainer_state)]
        try:
            return self._pool.submit(f"{_HERE}:judged", args, self.seconds, needs=[self._where])
        except (TypeError, ValueError) as error:
            raise RewardError(
                f"The problems of `{problems[0].task}` cannot be sent to `{self.source}`: {error}.",
                "Their answer and meta must be JSON values; or write `inprocess:` before the function.",
            ) from error

    def read(self, future: Future[Answer], count: int) -> list[Verdict]:
        """The verdicts of a call for `count` texts; one that failed or took too long is a status of each of them.

        What the call printed is the `detail` of a verdict that has none. RewardError if the function refuses these
        problems.
        """
        try:
            answer = future.result()
        except RewardError:
            raise
        except Exception as error:
            return [values.failed(error)] * count
        verdicts = [values.verdict_of(v) for v in answer.value]
        return [v if v.detail else replace(v, detail=answer.printed) for v in verdicts]

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each of `texts[R]`, in their order; see `read`."""
        if not texts:
            return []
        together = self.form == "trl"
        size = len(texts) if together else 1
        futures = [
            self.ask(problems[i : i + size], texts[i : i + size], trainer_state)
            for i in range(0, len(texts), size)
        ]
        await asyncio.gather(*map(asyncio.wrap_future, futures), return_exceptions=True)
        return [verdict for future in futures for verdict in self.read(future, size)]


# What follows runs in a worker.


def form(source: str, name: str) -> Form:
    """The form of a function, which messages call `name`."""
    return form_of(load_callable(source), name)


def judged(
    source: str, name: str, problems: list[dict[str, Any]], texts: list[str], trainer_state: dict[str, Any]
) -> list[dict[str, Any]]:
    """The function's verdicts on texts."""
    found = [values.problem_of(p) for p in problems]
    verdicts = asyncio.run(score_all(load_callable(source), name, found, texts, trainer_state))
    return [values.verdict_value(replace(v, detail=with_mend(v.detail))) for v in verdicts]
