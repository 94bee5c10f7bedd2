"""The outcome reward: the judge's verdict on each text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hone.core.batch import Batch
from hone.core.rewarded import with_verdicts
from hone.core.stages import Context


@dataclass(frozen=True)
class Verifier:
    """One verdict for each rollout; a verdict that is not ok takes its rollout out of the step."""

    needs: ClassVar[frozenset[str]] = frozenset({"verdicts"})

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with verdicts and rewards."""
        problems = [t.problem for t in batch.trajectories]
        texts = [t.text for t in batch.trajectories]
        verdicts = await context.judge.score(problems, texts, {"global_step": context.noise.step})
        return with_verdicts(batch, verdicts)
