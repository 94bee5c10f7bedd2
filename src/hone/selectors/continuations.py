"""Learn from rollouts that went on thinking, not from those that were made to answer at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hone.core.batch import Batch
from hone.core.lazy import torch


@dataclass(frozen=True)
class Continuations:
    """Forced answers (label `terminated`) count in their group's statistics; they carry no loss."""

    def __call__(self, batch: Batch) -> Batch:
        """Narrow `kept`."""
        went_on = torch.tensor([not t.labels.get("terminated", 0) for t in batch.trajectories])
        return replace(batch, kept=batch.kept & went_on)
