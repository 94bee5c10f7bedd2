"""Watches the runs of a sweep as they write, and says which to stop because they are dominated."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from hone.compute.series import Unit
from hone.training.arms import Arm
from hone.training.cells import rollouts_of
from hone.training.disk import write_whole
from hone.training.domination import CHECKS, dominated
from hone.training.folder import RunFolder
from hone.training.readings import Readings, readings_of


def mark_of(arm: Arm) -> Path:
    """The file beside a run folder that says that its run was stopped, when, and why."""
    return arm.folder.with_suffix(".stopped.json")


class DominationWatch:
    """Applies `domination.RULE` to the runs of `arms`, in compute of `unit` (rollouts or sampled tokens).

    Threads may ask at once. A run is judged once for every check that it reaches.
    """

    def __init__(self, arms: Sequence[Arm], unit: Unit, tell: Callable[[str], None]) -> None:
        self._arms = arms
        self._unit = unit
        self._tell = tell
        self._judged: dict[str, int] = {}  # the last check at which a run was judged, by name
        self._lock = threading.Lock()

    def unwanted(self, arm: Arm) -> bool:
        """Whether `arm` is dominated by now; its mark is written then."""
        with self._lock:
            run = self._read(arm)
            if run is None:
                return False
            budget = self._budget(arm)
            check = int(CHECKS * run.after[-1] / budget)
            if check == self._judged.get(arm.name, 0):
                return False
            self._judged[arm.name] = check
            rivals = [other for other in self._arms if other.seed == arm.seed and other.label != arm.label]
            others = {other.label: found for other in rivals if (found := self._read(other)) is not None}
            verdict = dominated(run, others, budget)
            if verdict is None:
                return False
            mark = {
                "step": int(run.steps[-1]),
                "unit": self._unit,
                "compute": verdict.compute,
                "why": verdict.words(),
            }
            write_whole(mark_of(arm), json.dumps(mark, indent=2) + "\n")
            self._tell(f"{arm.name}: dominated, {verdict.words()}")
            return True

    def _budget(self, arm: Arm) -> float:
        tokens = arm.recipe.max_sampled_tokens
        return (
            arm.recipe.steps * rollouts_of(arm.recipe)
            if self._unit == "rollouts" or tokens is None
            else tokens
        )

    def _read(self, arm: Arm) -> Readings | None:
        """What a run has written; None before its first step."""
        lines = RunFolder(arm.folder).read("metrics.jsonl")
        return readings_of(lines, self._unit, arm.folder) if lines else None
