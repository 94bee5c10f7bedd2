"""The uniform curriculum: fresh problems in a seeded order, the same number of rollouts each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hone.core.batch import Batch
from hone.core.problem import Problem, Task, stable_hash
from hone.core.stages import Request, State
from hone.core.trajectory import Trajectory


@dataclass(frozen=True)
class Uniform:
    """Every problem of a finite task once per epoch in a new order; an unbounded task never repeats one."""

    num_generations: int = 16
    problems_per_step: int = 8
    seed: int = 0

    needs: ClassVar[frozenset[str]] = frozenset()

    def init(self, task: Task, seed: int) -> State:
        """No state: the order is a function of (seed, step)."""
        return {}

    def draw(
        self, state: State, task: Task, step: int, so_far: Sequence[Trajectory]
    ) -> tuple[list[Request], State]:
        """`problems_per_step` groups at once, then nothing."""
        if so_far:
            return [], state
        first = (step - 1) * self.problems_per_step
        return [
            Request(self.problem(task, first + i), self.num_generations, group=i)
            for i in range(self.problems_per_step)
        ], state

    def problem(self, task: Task, position: int) -> Problem:
        """The problem at `position` of the endless stream."""
        return task.problem(self.index(position, task.size("train")))

    def index(self, position: int, size: int | None) -> int:
        """Which of `size` problems stands at `position`: a new order each epoch; None: they never repeat."""
        if size is None:
            return stable_hash("uniform", self.seed) % (1 << 40) + position
        epoch, within = divmod(position, size)
        order = np.random.default_rng(stable_hash("uniform", self.seed, epoch)).permutation(size)
        return int(order[within])

    def observe(self, state: State, batch: Batch) -> State:
        """Nothing to learn."""
        return state

    def report(self, batch: Batch) -> Mapping[str, int]:
        """Nothing to tell."""
        return {}
