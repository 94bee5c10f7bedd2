"""Learn from abstractions alone, or from solutions alone: the turns of an alternation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from hone.core.batch import Batch
from hone.core.options import require_choice
from hone.core.parts import Part


@dataclass(frozen=True)
class LearnPart:
    """The trajectories of the other role still count in rewards, and carry no loss. Bare solutions are solutions."""

    learn: Literal["abstractions", "solutions"]

    def __post_init__(self) -> None:
        require_choice("selectors.learn", self.learn, ("abstractions", "solutions"))

    def __call__(self, batch: Batch) -> Batch:
        """Narrow `kept`."""
        hints = batch.parts == Part.ABSTRACTION
        return replace(batch, kept=batch.kept & (hints if self.learn == "abstractions" else ~hints))
