"""What the curricula have in common that deal a step's rollouts out by the posterior of pass rates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hone.core.batch import Batch
from hone.core.options import require
from hone.core.packed import compact, segment_size
from hone.core.problem import Task
from hone.core.stages import Request, State
from hone.core.trajectory import Trajectory
from hone.curricula.apportion import apportion
from hone.curricula.posterior import Counts, key_of, observed
from hone.curricula.uniform import Uniform

LARGEST = 4  # times num_generations, where `max_generations` is left out


@dataclass(frozen=True)
class Allocation:
    """The problems of `uniform`, and num_generations x problems_per_step rollouts among them in proportion to `spread`.

    Group sizes follow from earlier steps alone, so credit stays what it is for groups of a given size. What is known
    of pass rates is kept per problem where the task is finite, else per level, and forgotten by `decay`.
    """

    num_generations: int = 16
    problems_per_step: int = 8
    seed: int = 0
    min_generations: int = 2
    max_generations: int | None = None  # None: 4 times num_generations
    decay: float = 0.8

    needs: ClassVar[frozenset[str]] = frozenset({"rewards"})
    unequal_groups: ClassVar[bool] = True

    def __post_init__(self) -> None:
        low, mean, high = self.min_generations, self.num_generations, self._high
        require("curriculum.min_generations", low, 2 <= low <= mean, f"from 2 to `num_generations`, {mean}")
        require(
            "curriculum.max_generations",
            self.max_generations,
            mean <= high,
            f"`num_generations`, {mean}, or more",
        )
        require("curriculum.decay", self.decay, 0 <= self.decay < 1, "in [0, 1)")

    @property
    def _high(self) -> int:
        return LARGEST * self.num_generations if self.max_generations is None else self.max_generations

    @property
    def smallest_group(self) -> int:
        """The fewest rollouts that a problem can get."""
        return self.min_generations

    @abstractmethod
    def spread(self, counts: Counts, key: str) -> float:
        """The standard deviation of one rollout's gradient, up to a common factor, by the posterior of `key`."""

    def init(self, task: Task, seed: int) -> State:
        """Nothing is known of any pass rate."""
        return {"counts": {}, "finite": task.size("train") is not None}

    def draw(
        self, state: State, task: Task, step: int, so_far: Sequence[Trajectory]
    ) -> tuple[list[Request], State]:
        """`problems_per_step` groups at once, then nothing."""
        same, state = Uniform(self.num_generations, self.problems_per_step, self.seed).draw(
            state, task, step, so_far
        )
        if not same:
            return [], state
        spreads = [self.spread(state["counts"], key_of(r.problem, state["finite"])) for r in same]
        sizes = apportion(spreads, len(same) * self.num_generations, self.min_generations, self._high)
        return [Request(r.problem, size, r.group) for r, size in zip(same, sizes, strict=True)], state

    def observe(self, state: State, batch: Batch) -> State:
        """Count the step's passes."""
        return {**state, "counts": observed(state["counts"], batch, self.decay, state["finite"])}

    def report(self, batch: Batch) -> Mapping[str, int]:
        """The smallest and the largest group."""
        index, count = compact(batch.groups)
        sizes = segment_size(index, count)
        return {"signal/smallest_group": int(sizes.min()), "signal/largest_group": int(sizes.max())}
