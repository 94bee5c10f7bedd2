"""A finite task without some of its problems."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from hone.core.problem import Problem, Split, Task, Verdict
from hone.tasks.procedural import check_index


@dataclass(frozen=True)
class LeftOut:
    """`task` without the problems at the indices `out` of `split`; everything else is the task's own.

    The order of the problems stays, so what is drawn is a function of the task and of what is left out.
    """

    task: Task
    split: Split
    out: Collection[int]
    _kept: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        out = frozenset(self.out)
        kept = tuple(i for i in range(self.task.size(self.split) or 0) if i not in out)
        object.__setattr__(self, "_kept", kept)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also while it is being built or copied, when there is no task to ask
            raise AttributeError(name)
        return getattr(self.task, name)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index` of those that stay; TaskError at or past `size(split)`."""
        if split != self.split:
            return self.task.problem(index, split)
        check_index(self.name, index, len(self._kept))
        return self.task.problem(self._kept[index], split)

    def size(self, split: Split = "train") -> int | None:
        """How many problems stay."""
        return len(self._kept) if split == self.split else self.task.size(split)

    def verify(self, problem: Problem, text: str) -> Verdict:
        """The task's judgement."""
        return self.task.verify(problem, text)

    def parse(self, text: str) -> Any:
        """The task's reading of `text`."""
        return self.task.parse(text)

    def same(self, a: Any, b: Any) -> bool:
        """The task's equality."""
        return self.task.same(a, b)

    def key(self, answer: Any) -> str:
        """The task's key."""
        return self.task.key(answer)
