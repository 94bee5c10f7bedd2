"""POPE: hard problems with and without the beginning of a solution in the prompt, one to one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from hone.core.batch import Batch
from hone.core.errors import RecipeError
from hone.core.options import require
from hone.core.problem import Task, stable_hash
from hone.core.stages import Judge, Request, State
from hone.core.trajectory import Trajectory
from hone.curricula.guided import GUIDED, UNGUIDED, Form, request
from hone.curricula.prefix_search import Candidate, Fallback, Search, candidate, learnt, pending, read
from hone.curricula.uniform import Uniform

USED = ("found", "fallback", "file")  # candidates that have a prefix


@dataclass(frozen=True)
class Pope:
    """Hard problems, each with and without a prefix of its `oracle` in the prompt; each version is a group of its own.

    Before the first step the base model attempts the first `problems` problems: one with a success among
    `hard_samples` answers is not hard. For a hard one the solution is cut at `cuts` evenly spaced places up to
    `max_share` of its length, and the first place from which `search_samples` answers have a success is its prefix;
    without any, the `fallback` place is. Places where the prefix already has the final answer are not tried.
    Then every version of every problem is drawn once an epoch in a seeded order, `problems_per_step` groups a step.
    With `hard_only=false` all others stay in, unguided. `versions` leaves one version out, for comparison.
    `prefixes` names a file of chosen prefixes, which takes the place of the search.

    The prefix is part of the prompt: no policy chose it, so it carries no loss and no option gives it one. The verifier
    judges prefix and answer together. Evaluation is unguided.
    Source: Qu et al. 2026 (arXiv 2601.18779).
    """

    num_generations: int = 16
    problems_per_step: int = 8
    seed: int = 0
    problems: int = 64
    hard_only: bool = True
    hard_samples: int = 128
    cuts: int = 8
    max_share: float = 0.25
    search_samples: int = 32
    fallback: Fallback = "largest"
    form: Form = "auto"
    versions: Literal["both", "unguided", "guided"] = "both"
    prefixes: str = ""

    needs: ClassVar[frozenset[str]] = frozenset()
    guides: ClassVar[bool] = True  # some groups are shown a part of a solution

    def __post_init__(self) -> None:
        for key in ("problems", "hard_samples", "cuts", "search_samples"):
            require(f"curriculum.{key}", getattr(self, key), getattr(self, key) >= 1, "1 or more")
        require("curriculum.max_share", self.max_share, 0 < self.max_share < 1, "between 0 and 1")

    @property
    def _search(self) -> Search:
        return Search(
            self.cuts, self.max_share, self.search_samples, self.hard_samples, self.fallback, self.seed,
            guided=self.versions != "unguided",
        )  # fmt: skip

    def init(self, task: Task, seed: int) -> State:
        """The candidates, about whom nothing is known yet; with a file, its prefixes."""
        if self.prefixes:
            return {"prefixes": read(self.prefixes, task)}
        size, stream = task.size("train"), Uniform(seed=self.seed)
        count = self.problems if size is None else min(self.problems, size)
        return {
            "prefixes": [candidate(task, stream.index(place, size), self._search) for place in range(count)]
        }

    def ask(self, state: State, task: Task) -> list[Request]:
        """What the base model is to attempt next, before the first step; nothing once every candidate is known."""
        out = []
        for probe in pending(state["prefixes"], self._search):
            problem = task.problem(state["prefixes"][probe.at]["index"])
            prefix = None if probe.cut is None else str(problem.oracle)[: probe.cut]
            out.append(request(problem, probe.count, probe.group, prefix, self.form))
        return out

    def hear(self, state: State, task: Task, judge: Judge, rollouts: Sequence[Trajectory]) -> State:
        """The state after the attempts that were asked for, with their verdicts."""
        return {**state, "prefixes": learnt(state["prefixes"], self._search, task, rollouts)}

    def settled(self, state: State) -> list[str]:
        """What the search has found, in sentences. Raises RecipeError if no problem is left to learn from."""
        every: Sequence[Candidate] = state["prefixes"]
        kinds = Counter(each["how"] for each in every)
        rest = "left out" if self.hard_only else "drawn unguided"
        said = {
            "found": "hard, with a prefix that the base model goes on from",
            "fallback": f"hard, with the {self.fallback} prefix, for none helped",
            "hard": "hard",
            "file": "with the prefix of the file",
            "easy": f"solved at least once in {self.hard_samples}, {rest}",
            "leak": f"{rest}: every prefix has the final answer",
            "short": f"{rest}: too short to cut",
            "no oracle": f"{rest}: without a reference solution",
        }
        words = "; ".join(f"{kinds[how]} {text}" for how, text in said.items() if kinds[how])
        leaked = sum(each["leaked"] for each in every)
        notes = [f"pope: of {len(every)} problems {words}"]
        if leaked:
            notes.append(f"pope: {leaked} prefixes were not tried because they have the final answer")
        if not self._items(state):
            raise RecipeError(
                f"`curriculum: pope` has no problem to learn from: of {len(every)}, {words or 'there is none'}.",
                "Take harder problems, problems with an `oracle`, more `curriculum.problems`, or "
                "`curriculum.hard_only=false`.",
            )
        return notes

    def _items(self, state: State) -> list[list[tuple[int, str | None]]]:
        """The versions to draw, problem after problem: (index, prefix), None for the plain problem."""
        out: list[list[tuple[int, str | None]]] = []
        for each in state["prefixes"]:
            hard = each["how"] in (*USED, "hard")
            if self.hard_only and not hard:
                continue
            versions: list[tuple[int, str | None]] = []
            if self.versions != "guided":
                versions.append((each["index"], None))
            if self.versions != "unguided" and each["prefix"] is not None:
                versions.append((each["index"], each["prefix"]))
            if versions:
                out.append(versions)
        return out

    def draw(
        self, state: State, task: Task, step: int, so_far: Sequence[Trajectory]
    ) -> tuple[list[Request], State]:
        """`problems_per_step` groups at once, then nothing.

        Before the search is done (a dry run, the look at the data) the candidates themselves, unguided.
        """
        if so_far:
            return [], state
        items = self._items(state)
        if pending(state["prefixes"], self._search) or not items:
            items = [[(each["index"], None)] for each in state["prefixes"]]
        out, first = [], (step - 1) * self.problems_per_step
        for group in range(self.problems_per_step):
            index, prefix = self._item(items, first + group)
            out.append(request(task.problem(index), self.num_generations, group, prefix, self.form))
        return out, state

    def _item(self, items: Sequence[Sequence[tuple[int, str | None]]], place: int) -> tuple[int, str | None]:
        """The version at `place` of the endless stream: the problems of an epoch in a new order, versions together."""
        epoch, within = divmod(place, sum(map(len, items)))
        order = np.random.default_rng(stable_hash("pope", self.seed, epoch)).permutation(len(items))
        return [version for at in order for version in items[at]][within]

    def observe(self, state: State, batch: Batch) -> State:
        """Nothing to learn: prefixes are those of the base model."""
        return state

    def report(self, batch: Batch) -> Mapping[str, int]:
        """Rollouts and successes of the guided and of the unguided groups."""
        out: dict[str, int] = {}
        for name, variant in (("unguided", UNGUIDED), ("guided", GUIDED)):
            mine = [i for i, t in enumerate(batch.trajectories) if t.labels.get("variant", 0) == variant]
            out[f"pope/{name}_rollouts"] = len(mine)
            out[f"pope/{name}_correct"] = sum(bool(batch.ok[i]) and bool(batch.rewards[i] >= 1) for i in mine)
        return out
