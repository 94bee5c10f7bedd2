"""Leave rollouts that the length limit cut out of the loss and its denominators."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hone.core.batch import Batch


@dataclass(frozen=True)
class MaskTruncated:
    """Truncated rollouts still count in their group's statistics; they carry no loss (DAPO's overlong filtering).

    The gradient is that of the objective over rollouts that end in time, so it is biased against nothing but length.
    """

    def __call__(self, batch: Batch) -> Batch:
        """Narrow `kept`."""
        return replace(batch, kept=batch.kept & ~batch.truncated)
