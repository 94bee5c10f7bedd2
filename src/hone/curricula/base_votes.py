"""A fixed pool of problems on which the starting model has voted: its easiest part, and the votes as labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Literal

from hone.core.batch import Batch
from hone.core.errors import RecipeError
from hone.core.options import require
from hone.core.problem import Problem, Task
from hone.core.stages import BaseVote, Request, State
from hone.core.trajectory import Trajectory
from hone.core.voting import STORED
from hone.curricula.uniform import Uniform


@dataclass(frozen=True)
class BaseVotes:
    """The `keep` easiest of `pool` problems, every one once an epoch in a new order; None: all of a finite task.

    Before the first step the model that the run starts from answers every problem of the pool `samples` times. Easy is
    what its majority answer has a large share of (`by: majority`, without labels) or what it often solves (`by:
    pass_rate`). Problems none of whose answers can be read are left out. The text of the majority is in each problem's
    `meta["majority"]`, where `rewards: fixed_majority` finds it. Source: Shafayat et al. 2025 (arXiv 2505.21444).
    """

    num_generations: int = 16
    problems_per_step: int = 8
    seed: int = 0
    pool: int | None = None
    samples: int = 16
    keep: float = 1.0
    by: Literal["majority", "pass_rate"] = "majority"

    needs: ClassVar[frozenset[str]] = frozenset({"base_votes"})

    def __post_init__(self) -> None:
        require("curriculum.pool", self.pool, self.pool is None or self.pool >= 1, "1 or more")
        require(
            "curriculum.samples", self.samples, self.samples >= 3, "3 or more: two answers are no majority"
        )
        require("curriculum.keep", self.keep, 0 < self.keep <= 1, "above 0 and at most 1")

    def init(self, task: Task, seed: int) -> State:
        """No votes yet. RecipeError for a task without end and no `pool`."""
        if task.size("train") is None and self.pool is None:
            raise RecipeError(
                f"`curriculum: base_votes` lets a model vote on every problem, and `{task.name}` has no end.",
                "Set `curriculum.pool` to a number of problems.",
            )
        return {"votes": None}

    def candidates(self, task: Task) -> list[int]:
        """Indices of the pool's training problems, which the model votes on."""
        size = task.size("train")
        count = self.pool if size is None else min(size, self.pool or size)
        assert count is not None  # `init` has refused the rest
        stream = Uniform(seed=self.seed)
        return [stream.index(at, size) for at in range(count)]

    def with_votes(self, state: State, votes: Sequence[BaseVote]) -> State:
        """The state with the easiest of the problems voted on. RecipeError if no answer could be read."""
        read = [v for v in votes if v.text is not None]
        if not read:
            raise RecipeError(
                "None of the starting model's answers to the pool could be read, so nothing has a majority.",
                "Start from a model that knows the form of an answer, or raise `max_completion_length`.",
            )
        ease = (lambda v: v.frequency) if self.by == "majority" else (lambda v: v.pass_rate)
        order = sorted(range(len(read)), key=lambda i: -ease(read[i]))  # of equally easy ones the first
        chosen = sorted(order[: ceil(self.keep * len(votes) - 1e-9)])
        return {"votes": [[read[i].index, read[i].text, read[i].frequency] for i in chosen]}

    def draw(
        self, state: State, task: Task, step: int, so_far: Sequence[Trajectory]
    ) -> tuple[list[Request], State]:
        """`problems_per_step` groups at once, then nothing. Before the votes are cast, problems of the whole pool."""
        if so_far:
            return [], state
        first = (step - 1) * self.problems_per_step
        return [
            Request(self._problem(state, task, first + i), self.num_generations, group=i)
            for i in range(self.problems_per_step)
        ], state

    def _problem(self, state: State, task: Task, position: int) -> Problem:
        stream, votes = Uniform(seed=self.seed), state["votes"]
        if votes is None:
            pool = self.candidates(task)
            return task.problem(pool[stream.index(position, len(pool))])
        index, text, frequency = votes[stream.index(position, len(votes))]
        problem = task.problem(index)
        return replace(problem, meta={**problem.meta, STORED: text, "majority_frequency": frequency})

    def observe(self, state: State, batch: Batch) -> State:
        """Nothing to learn."""
        return state

    def report(self, batch: Batch) -> Mapping[str, int]:
        """Nothing to tell."""
        return {}
