"""Problems in the order of their level, without shuffling: easy ones first, then medium ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hone.core.errors import TaskError
from hone.core.problem import Task
from hone.core.stages import Request, State
from hone.core.trajectory import Trajectory
from hone.curricula.uniform import Uniform


@dataclass(frozen=True)
class ByLevel(Uniform):
    """Every problem of a finite task in ascending `level`, equal levels in their own order, and again from the start.

    Problems of a file have no level and come as the file has them: for an easy-then-medium schedule, sort it by base
    success and leave the hardest out. A task without an end has no order to go by: TaskError.
    Source: RLAD (arXiv 2510.02263), the schedule of its online stage.
    """

    def init(self, task: Task, seed: int) -> State:
        """The order, as indices of the train split."""
        size = task.size("train")
        if size is None:
            raise TaskError(
                f"`{task.name}` has no end, and `curriculum: by_level` sorts all of its problems.",
                "Use a task of a file, or `curriculum: uniform`.",
            )
        return {"order": sorted(range(size), key=lambda i: (task.problem(i).level, i))}

    def draw(
        self, state: State, task: Task, step: int, so_far: Sequence[Trajectory]
    ) -> tuple[list[Request], State]:
        """`problems_per_step` groups at once, then nothing."""
        if so_far:
            return [], state
        order, first = state["order"], (step - 1) * self.problems_per_step
        indices = [order[(first + i) % len(order)] for i in range(self.problems_per_step)]
        return [
            Request(task.problem(index), self.num_generations, group=i) for i, index in enumerate(indices)
        ], state
