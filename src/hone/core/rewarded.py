"""How verdicts become a batch's rewards, in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hone.core.batch import Batch
from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.problem import Verdict

if TYPE_CHECKING:
    from jaxtyping import Bool


def with_verdicts(batch: Batch, verdicts: Sequence[Verdict]) -> Batch:
    """The batch with a verdict on every trajectory; rollouts whose verdict is not ok leave `ok` and `kept`."""
    if len(verdicts) != len(batch.trajectories):
        raise RewardError(
            f"{len(batch.trajectories)} rollouts got {len(verdicts)} verdicts.",
            "Return one for each completion.",
        )
    trajectories = tuple(dataclasses.replace(t, verdict=v) for t, v in zip(batch.trajectories, verdicts))
    ok = torch.tensor([v.status == "ok" for v in verdicts], dtype=torch.bool)
    values = [float("nan") if v.reward is None else float(v.reward) for v in verdicts]
    return dataclasses.replace(
        batch,
        trajectories=trajectories,
        ok=batch.ok & ok,
        kept=batch.kept & ok,
        rewards=torch.tensor(values, dtype=torch.float64),
    )


def pass_rate(batch: Batch, counted: Bool[torch.Tensor, "rollouts"]) -> dict[str, float]:
    """The reading `pass_rate`, for a piece that is about to make other rewards of those that verdicts gave.

    The share of rewards of at least 1 among the `counted` rollouts; nothing where there are none.
    """
    rewards = batch.rewards[counted]
    return {"pass_rate": float((rewards >= 1).double().mean())} if len(rewards) else {}
