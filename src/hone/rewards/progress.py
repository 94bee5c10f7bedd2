"""Progress: what each episode of a thinking adds to the success of answering at once, as credit of its own tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from hone.core.batch import Batch
from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.options import require
from hone.core.stages import Context

if TYPE_CHECKING:
    from jaxtyping import Float

STARTS, SUCCESS = "episode_starts", "forced_success"  # readings of `episode: thinking`


def episode_progress(success: Float[torch.Tensor, "... places"]) -> Float[torch.Tensor, "... episodes"]:
    """J(μ | c, z_j) − J(μ | c) of each episode, from the success of answers forced at its beginning and its end.

    Over a trace it sums to the last success less the first. Source: Qu et al. 2025 (arXiv 2503.07572), definition 6.1.
    """
    return success[..., 1:] - success[..., :-1]


@dataclass(frozen=True)
class Progress:
    """`alpha` times an episode's progress, as a local advantage of the tokens of that episode and of no others.

    It reads what `episode: thinking` has measured: `episode_starts` (token places that rise, the first 0, the last
    where thinking ends) and `forced_success` there. Tokens after the thinking, and those of forced answers, have the
    outcome's advantage alone. An episode whose success could not be measured at one of its ends has no progress, and is
    counted in `mrt/unmeasured`. RewardError for traces without readings.
    """

    alpha: float = 1.0

    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        require("alpha", self.alpha, self.alpha >= 0, "at least 0")

    def formula(self) -> str:
        """What is added to the outcome's advantage, in plain text."""
        return f"A_t += {self.alpha:g} (J(μ | c, z_j) − J(μ | c)) for the tokens of episode z_j after c"

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with local advantages, and with what was measured in its line of metrics."""
        local = torch.zeros(len(batch.rollout_of))
        ends = torch.cumsum(batch.lengths, 0)
        totals, episodes, unmeasured = [], 0, 0
        for trajectory, length, end in zip(batch.trajectories, batch.lengths.tolist(), ends.tolist()):
            if trajectory.labels.get("terminated"):
                continue
            if SUCCESS not in trajectory.readings:
                raise RewardError(
                    "`rewards: progress` found a rollout whose episodes were not measured.",
                    "Use it with `episode: thinking`.",
                )
            starts = [int(s) for s in trajectory.readings[STARTS]]
            success = torch.tensor(trajectory.readings[SUCCESS], dtype=torch.float64)
            for begin, stop, gain in zip(starts, starts[1:], episode_progress(success).tolist()):
                episodes += 1
                if gain != gain:
                    unmeasured += 1
                    continue
                local[end - length + begin : end - length + stop] = self.alpha * gain
            totals.append(success[-1] - success[0])
        if batch.local_advantages is not None:
            local = local + batch.local_advantages
        metrics = {
            "mrt/progress": float(torch.stack(totals).nanmean()) if totals else 0.0,
            "mrt/episodes": episodes / max(1, len(totals)),
            "mrt/unmeasured": float(unmeasured),
        }
        return replace(batch, local_advantages=local, readings={**batch.readings, **metrics})
