"""The nouns of a task: Problem, Verdict and the Task protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

Message = Mapping[str, str]  # {"role": ..., "content": ...}
Prompt = str | tuple[Message, ...]
Split = Literal["train", "test"]
Status = Literal["ok", "error", "timeout", "not_applicable"]


def content_id(*parts: Any) -> str:
    """16 hex digits that depend on the JSON content of `parts` alone, the same on every machine."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def stable_hash(*parts: Any) -> int:
    """A 64-bit integer made from the content of `parts`: the source of every derived seed."""
    return int(content_id(*parts), 16)


@dataclass(frozen=True)
class Problem:
    """One question. `id` is derived from task, prompt and answer, so equal problems are equal everywhere.

    `answer` and `meta` hold JSON values. `oracle` is a reference solution in the form a policy would write.
    `level` is the task's own difficulty number (0 where it has none).
    """

    prompt: Prompt
    answer: Any
    task: str
    level: float = 0
    oracle: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", content_id(self.task, self.prompt, self.answer))

    def text(self) -> str:
        """The prompt as one string, for display."""
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n".join(f"{m['role']}: {m['content']}" for m in self.prompt)


@dataclass(frozen=True)
class Verdict:
    """What a verifier says of one text: a reward and how it was reached.

    `reward` is None unless `status` is `ok`. An exception, a time-out or a non-finite value is a status, never a
    zero. `answer` is the parsed answer (None if none was found); `parts` are named components of the reward.
    """

    reward: float | None
    status: Status = "ok"
    answer: Any = None
    parts: Mapping[str, float] = field(default_factory=dict)
    detail: str = ""

    def __post_init__(self) -> None:
        if (self.reward is None) == (self.status == "ok"):
            raise ValueError(
                f"a verdict has a reward exactly if its status is ok, got {self.reward}, {self.status}"
            )


@runtime_checkable
class Task(Protocol):
    """Makes problems, checks them, and knows when two answers are the same.

    Votes cluster by `key`, then by `same` with a cluster's first member, so `key` must agree wherever `same` does
    not need to be asked, and may be coarse.
    """

    @property
    def name(self) -> str:
        """What the task is called in recipes and records."""
        ...

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index >= 0` of `split`: a pure function of (task options, index, split)."""
        ...

    def size(self, split: Split = "train") -> int | None:
        """How many distinct problems `split` has; None if there are more than anyone will draw."""
        ...

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Judge `text` as an attempt at `problem`. Never raises for any `text`."""
        ...

    def parse(self, text: str) -> Any:
        """The answer that `text` gives, or None."""
        ...

    def same(self, a: Any, b: Any) -> bool:
        """Whether two parsed answers mean the same."""
        ...

    def key(self, answer: Any) -> str:
        """A string under which equal answers are grouped before `same` is asked."""
        ...


def split_of(problem_id: str, test_share: float = 0.1) -> Split:
    """The split a problem belongs to, as a function of its content alone."""
    return "test" if stable_hash("split", problem_id) % 10_000 < test_share * 10_000 else "train"
