"""A fixed pool of problems on which the starting model has voted: its easiest part, and the votes as labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, ClassVar, Literal

from hone.core.batch import Batch
from hone.core.errors import RecipeError
from hone.core.options import require
from hone.core.problem import Problem, Task
from hone.core.signal import by_group
from hone.core.stages import Judge, Request, State
from hone.core.trajectory import Trajectory
from hone.core.voting import STORED, Equality, answers_of, clusters
from hone.curricula.uniform import Uniform

ROUND = 64  # problems that are voted on between two writes of prepared.json
Vote = dict[str, Any]  # JSON values: see `vote_of`


@dataclass(frozen=True)
class BaseVotes:
    """The `keep` easiest of `pool` problems, every one once an epoch in a new order; None: all of a finite task.

    Before the first step the model that the run starts from answers every problem of the pool `samples` times. Easy is
    what its majority answer has a large share of (`by: majority`, without labels) or what it often solves (`by:
    pass_rate`); answers are equal if the task says so. Problems none of whose answers can be read are left out. The
    text of the majority is in each problem's `meta["majority"]`, where `rewards: fixed_majority` finds it. Source:
    Shafayat et al. 2025 (arXiv 2505.21444).
    """

    num_generations: int = 16
    problems_per_step: int = 8
    seed: int = 0
    pool: int | None = None
    samples: int = 16
    keep: float = 1.0
    by: Literal["majority", "pass_rate"] = "majority"

    needs: ClassVar[frozenset[str]] = frozenset()

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
        return {"cast": [], "votes": None}

    def candidates(self, task: Task) -> list[int]:
        """Indices of the pool's training problems, which the model votes on."""
        size = task.size("train")
        count = self.pool if size is None else min(size, self.pool or size)
        assert count is not None  # `init` has refused the rest
        stream = Uniform(seed=self.seed)
        return [stream.index(at, size) for at in range(count)]

    def ask(self, state: State, task: Task) -> list[Request]:
        """The next problems of the pool to vote on, at most `ROUND`."""
        first = len(state["cast"])
        waiting = self.candidates(task)[first : first + ROUND]
        return [Request(task.problem(index), self.samples, first + i) for i, index in enumerate(waiting)]

    def hear(self, state: State, task: Task, judge: Judge, rollouts: Sequence[Trajectory]) -> State:
        """The state with a round's votes; after the last one with the easiest problems."""
        pool = self.candidates(task)
        heard = [vote_of(judge, task, pool[group], row) for group, row in by_group(rollouts).items()]
        cast = [*state["cast"], *heard]
        return {"cast": cast, "votes": self.easiest(cast) if len(cast) == len(pool) else None}

    def settled(self, state: State) -> list[str]:
        """How many problems stay, and how clear the majorities were."""
        votes, cast = state["votes"], state["cast"]
        mean = sum(vote["frequency"] for vote in cast) / len(cast)
        return [f"{len(votes):,} of {len(cast):,} problems are trained on; the mean majority was {mean:.0%}"]

    def easiest(self, cast: Sequence[Vote]) -> list[list[Any]]:
        """Index, text and frequency of the easiest problems, in the order of the pool.

        RecipeError if no answer could be read.
        """
        read = [vote for vote in cast if vote["text"] is not None]
        if not read:
            raise RecipeError(
                "None of the starting model's answers to the pool could be read, so nothing has a majority.",
                "Start from a model that knows the form of an answer, or raise `max_completion_length`.",
            )
        by = "frequency" if self.by == "majority" else "pass_rate"
        order = sorted(range(len(read)), key=lambda i: -read[i][by])  # of equally easy ones the first
        chosen = sorted(order[: ceil(self.keep * len(cast) - 1e-9)])
        return [[read[i]["index"], read[i]["text"], read[i]["frequency"]] for i in chosen]

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


def vote_of(equality: Equality, task: Task, index: int, answers: Sequence[Trajectory]) -> Vote:
    """The vote of judged answers to the problem at `index`; of equal counts the answer that came first wins.

    `frequency` is of the answers that could be read, `pass_rate` of those that were judged; `text` is None if none
    could be read.
    """
    verdicts = [t.verdict for t in answers if t.verdict is not None]
    parsed = answers_of(verdicts, [t.text for t in answers], task)
    read = [c for c in clusters(equality, parsed) if parsed[c[0]] is not None]
    rewards = [v.reward for v in verdicts if v.reward is not None]
    right = sum(r >= 1 for r in rewards) / max(1, len(rewards))
    if not read:
        return {"index": index, "text": None, "frequency": 0.0, "pass_rate": right}
    best = max(read, key=len)
    frequency = len(best) / sum(map(len, read))
    return {"index": index, "text": answers[best[0]].text, "frequency": frequency, "pass_rate": right}
