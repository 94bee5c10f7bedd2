"""Dynamic sampling (DAPO): groups without signal are dropped, and fresh problems are drawn in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from hone.core.batch import Batch
from hone.core.options import require
from hone.core.problem import Task
from hone.core.signal import by_group, has_signal, with_signal
from hone.core.stages import Request, State
from hone.core.trajectory import Trajectory
from hone.curricula.uniform import Uniform


@dataclass(frozen=True)
class DynamicSampling:
    """Draw fresh problems until `problems_per_step` groups have signal, at most `max_refills` times; drop the others.

    A group has signal if its rewards are not all equal. Each refill draws as many problems as groups are missing; after
    the last one the step goes on with what it has. Dropped groups are sampled, judged, paid for and in the pass rates
    of the step's line; they are in no loss and no denominator. `zero_variance` among the selectors drops them without
    refill.

    For fresh problems, and credit that gives groups of equal rewards nothing, the expected update is that of `uniform`
    times (1 − (1 − s)^(R+1)) / s, for a share s of groups with signal, R refills and one group a step; near 1/s for
    many. So the direction is that of `uniform`, and the step is longer where signal is rare: a learning rate that
    follows s. Source: Yu et al. 2025 (arXiv 2503.14476).
    """

    num_generations: int = 16
    problems_per_step: int = 8
    seed: int = 0
    max_refills: int = 4

    needs: ClassVar[frozenset[str]] = frozenset({"verdicts"})
    drops_zero_variance: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(
            "curriculum.max_refills",
            self.max_refills,
            1 <= self.max_refills <= 1000,
            "from 1 to 1000; without refills use `selectors: [zero_variance]`",
        )

    def init(self, task: Task, seed: int) -> State:
        """Where the stream of problems has been read to, and the refills of the present step."""
        return {"position": 0, "refills": 0}

    def draw(
        self, state: State, task: Task, step: int, so_far: Sequence[Trajectory]
    ) -> tuple[list[Request], State]:
        """As many problems as groups with signal are missing."""
        groups = by_group(so_far)
        refills = state["refills"] + 1 if so_far else 0
        missing = self.problems_per_step - sum(has_signal(group) for group in groups.values())
        if missing == 0 or refills > self.max_refills:
            return [], {**state, "refills": 0}
        stream = Uniform(seed=self.seed)
        first = state["position"]
        requests = [
            Request(stream.problem(task, first + i), self.num_generations, group=len(groups) + i)
            for i in range(missing)
        ]
        return requests, {"position": first + missing, "refills": refills}

    def observe(self, state: State, batch: Batch) -> State:
        """Nothing to learn."""
        return state

    def report(self, batch: Batch) -> Mapping[str, int]:
        """Rollouts that were drawn as a refill, and that were dropped."""
        return {
            "signal/refilled_rollouts": int((batch.groups >= self.problems_per_step).sum()),
            "signal/dropped_rollouts": int((~with_signal(batch)).sum()),
        }
