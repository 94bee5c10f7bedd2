"""Keep the traces that are right and made the most progress: the filter of MRT's self-training form."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hone.core.batch import Batch
from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.options import require


@dataclass(frozen=True)
class MostProgress:
    """Of each group, the `keep` rollouts with a reward of 1 whose forced success rose most from beginning to end.

    A trace without progress is never kept: one that answers as well at once has nothing to teach. Ties go to the
    earlier rollout; forced answers are never kept. With `trim: true` of `episode: thinking` traces end with the last
    episode that made progress.
    RewardError for rollouts whose episodes were not measured.
    """

    keep: int = 1

    def __post_init__(self) -> None:
        require("keep", self.keep, self.keep >= 1, "at least 1")

    def __call__(self, batch: Batch) -> Batch:
        """Narrow `kept`."""
        ranked: dict[int, list[tuple[float, int]]] = {}
        for i, trajectory in enumerate(batch.trajectories):
            if trajectory.labels.get("terminated"):
                continue
            success = trajectory.readings.get("forced_success")
            if success is None:
                raise RewardError(
                    "`selectors: most_progress` found a rollout whose episodes were not measured.",
                    "Use it with `episode: thinking`.",
                )
            total = success[-1] - success[0]
            if bool(batch.kept[i]) and float(batch.rewards[i]) >= 1 and total > 0:
                ranked.setdefault(int(batch.groups[i]), []).append((-total, i))
        chosen = torch.zeros_like(batch.kept)
        for group in ranked.values():
            chosen[[i for _, i in sorted(group)[: self.keep]]] = True
        return replace(batch, kept=batch.kept & chosen)
