"""Leave groups whose rewards are all equal out of the loss and its denominators."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hone.core.batch import Batch
from hone.core.signal import with_signal


@dataclass(frozen=True)
class ZeroVariance:
    """Averages run over the groups with signal alone (ScaleRL's filter: drop, do not draw again).

    Where credit gives groups of equal rewards nothing, the expected update of P fresh problems keeps its direction and
    is multiplied by (1 − (1 − s)^P) / s, for a share s of groups with signal. Other credit is refused. A KL or entropy
    term is averaged over the same groups.
    """

    def __call__(self, batch: Batch) -> Batch:
        """Narrow `kept`."""
        return replace(batch, kept=batch.kept & with_signal(batch))
