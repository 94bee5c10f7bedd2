"""Training at test time: the problems of the evaluation itself, for rewards that hide their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hone.core.options import require
from hone.core.problem import Problem, Task
from hone.curricula.uniform import Uniform


@dataclass(frozen=True)
class TestTime(Uniform):
    """The first `eval_problems` of the test split, every one once an epoch in a new order; as many as are evaluated.

    Whoever chooses it allows training on the evaluation's problems; it is refused beside rewards that read labels.
    Source: Shafayat et al. 2025 (arXiv 2505.21444), section on test-time training.
    """

    eval_problems: int = 100

    __test__: ClassVar[bool] = False  # its name looks like a test to pytest
    trains_on_test: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require("curriculum.eval_problems", self.eval_problems, self.eval_problems >= 1, "1 or more")

    def problem(self, task: Task, position: int) -> Problem:
        """The problem at `position` of the endless stream."""
        size = task.size("test")
        count = self.eval_problems if size is None else min(size, self.eval_problems)
        return task.problem(self.index(position, count), "test")
