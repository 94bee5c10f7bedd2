"""Several tasks drawn in fixed proportions, as the supervised warm start of the embedded model needs."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, Task, Verdict, stable_hash
from hone.core.verifying import verify_all


@dataclass(frozen=True)
class Mixture:
    """Draws problem `index` from `tasks[k]` with probability proportional to `weights[k]` (default: equal).

    The choice is a hash of weights, split and index; the chosen task is asked for the same index, modulo its
    size where it is finite, so a finite task is repeated. Verification goes to the first task whose `name`
    the problem bears. Raises TaskError without tasks, or for weights that are not positive or not one a task.
    """

    tasks: tuple[Task, ...]
    weights: tuple[float, ...] = ()
    name: str = field(default="mixture", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", tuple(self.tasks))
        object.__setattr__(self, "weights", tuple(self.weights) or (1.0,) * len(self.tasks))
        if not self.tasks:
            raise TaskError("A mixture of no tasks.", "Give at least one task.")
        if len(self.weights) != len(self.tasks):
            raise TaskError(
                f"{len(self.tasks)} tasks but {len(self.weights)} weights.", "Give one weight a task."
            )
        if not all(0 < w < float("inf") for w in self.weights):
            raise TaskError(f"Mixture weights {self.weights}.", "Every weight must be positive and finite.")

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index` of `split`."""
        bounds = list(accumulate(self.weights))
        uniform = stable_hash("mixture", self.weights, split, index) / 2**64
        task = self.tasks[min(bisect(bounds, uniform * bounds[-1]), len(self.tasks) - 1)]
        size = task.size(split)
        return task.problem(index % size if size and index >= 0 else index, split)

    def size(self, split: Split = "train") -> int | None:
        """None: a mixture never runs out."""
        return None

    def verify(self, problem: Problem, text: str) -> Verdict:
        """The verdict of the task that the problem belongs to."""
        return self._of(problem).verify(problem, text)

    async def verify_all(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """The verdicts of the tasks that the problems belong to, side by side where a task can."""
        verdicts: dict[int, Verdict] = {}
        owners = [self._of(problem) for problem in problems]
        for task in {id(owner): owner for owner in owners}.values():
            mine = [i for i, owner in enumerate(owners) if owner is task]
            found = await verify_all(
                task, [problems[i] for i in mine], [texts[i] for i in mine], trainer_state
            )
            verdicts |= dict(zip(mine, found, strict=True))
        return [verdicts[i] for i in range(len(texts))]

    def parse(self, text: str) -> str | None:
        """The whole text without surrounding white space: which task it answers is not known here."""
        return text.strip() or None

    def same(self, a: Any, b: Any) -> bool:
        """Whether two answers are equal as values."""
        return a is not None and bool(a == b)

    def key(self, answer: Any) -> str:
        """The answer as a string."""
        return "" if answer is None else str(answer)

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A demonstration by the task that the problem belongs to; a TaskError if it offers none."""
        task = self._of(problem)
        if not hasattr(task, "demonstrate"):
            raise TaskError(
                f"Task `{task.name}` has no demonstrations.", "Use tasks that come with a solver."
            )
        return str(task.demonstrate(problem, seed, quality))

    def _of(self, problem: Problem) -> Task:
        for task in self.tasks:
            if task.name == problem.task:
                return task
        raise TaskError(
            f"A problem of task `{problem.task}` is not of this mixture.", "Check it with its own task."
        )
