"""Keep the abstractions that helped: offline learning of the generator from its own filtered samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hone.core.batch import Batch
from hone.core.lazy import torch
from hone.core.options import require
from hone.core.parts import Part
from hone.core.trajectory import Trajectory


@dataclass(frozen=True)
class Helpful:
    """Learn from abstractions whose solutions were right more often than bare ones by more than `margin`, without leak.

    With `best`, from the best of them for each problem alone. Everything else, solutions included, carries no loss:
    with `objective: supervised` this is rejection-sampling fine-tuning (RFT) of the generator.
    Source: RLAD (arXiv 2510.02263), the offline stage; RPO, its other form there, is not built.
    """

    margin: float = 0.0
    best: bool = False

    def __post_init__(self) -> None:
        require("selectors.margin", self.margin, -1 <= self.margin < 1, "at least -1 and below 1")

    def __call__(self, batch: Batch) -> Batch:
        """Narrow `kept`."""
        chosen = [i for i, t in enumerate(batch.trajectories) if bool(batch.kept[i]) and self.helped(t)]
        if self.best:
            firsts: dict[int, int] = {}
            for i in sorted(chosen, key=lambda i: (-_part(batch.trajectories[i], "solved"), i)):
                firsts.setdefault(int(batch.groups[i]), i)
            chosen = list(firsts.values())
        kept = torch.zeros_like(batch.kept)
        kept[chosen] = True
        return replace(batch, kept=kept)

    def helped(self, t: Trajectory) -> bool:
        """Whether `t` is an abstraction that is learnt from."""
        if t.labels["part"] != Part.ABSTRACTION or t.verdict is None or "base" not in t.verdict.parts:
            return False
        gain = _part(t, "solved") - _part(t, "base")
        return gain > self.margin and not _part(t, "leak") and bool(t.text.strip())


def _part(t: Trajectory, name: str) -> float:
    return t.verdict.parts[name] if t.verdict is not None else 0.0
