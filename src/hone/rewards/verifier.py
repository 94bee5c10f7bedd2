"""The outcome reward: the judge's verdict on each text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hone.core.batch import Batch
from hone.core.rewarded import with_verdicts
from hone.core.stages import Context
from hone.rewards.reading import judged


@dataclass(frozen=True)
class Verifier:
    """One verdict for each rollout; a verdict that is not ok takes its rollout out of the step.

    A rollout that a curriculum has asked the verdict of is not judged again.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"verdicts"})

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with verdicts and rewards."""
        return with_verdicts(batch, await judged(batch, context))
