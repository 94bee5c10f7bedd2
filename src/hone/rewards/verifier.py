"""The outcome reward: the judge's verdict on each text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hone.core.batch import Batch
from hone.core.rewarded import with_verdicts
from hone.core.stages import Context


@dataclass(frozen=True)
class Verifier:
    """One verdict for each rollout; a verdict that is not ok takes its rollout out of the step.

    A rollout that a curriculum has asked the verdict of is not judged again.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"verdicts"})

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with verdicts and rewards."""
        waiting = [t for t in batch.trajectories if t.verdict is None]
        problems, texts = [t.problem for t in waiting], [t.text for t in waiting]
        found = await context.judge.score(problems, texts, {"global_step": context.noise.step})
        if len(found) != len(waiting):
            return with_verdicts(batch, found)  # which says what is wrong
        new = iter(found)
        return with_verdicts(batch, [t.verdict or next(new) for t in batch.trajectories])
