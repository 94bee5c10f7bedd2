"""The batch of one step: its trajectories and everything later stages add to them.

Axes: `R` rollouts, `T` action tokens, rollout after rollout in the order of `trajectories`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hone.core.lazy import torch
from hone.core.trajectory import Trajectory

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Batch:
    """One step's rollouts. Stages return a changed copy (`dataclasses.replace`); nothing is changed in place.

    `ok` says whose verdict counts: a rollout that is not ok leaves group statistics and denominators together.
    `kept` says which rollouts are learnt from; it implies `ok`. `rewards` is NaN where not ok. `parts` sets rollouts of
    one group apart that are normalised apart; those of one group and `attempts` number are one unit of credit.
    `local_advantages` are added to the advantages that outcomes give: credit for a token alone. `targets` are the
    probabilities that a soft-label objective moves the policy to, over its action space of A tokens. `readings` are
    numbers for the step's line of metrics.
    """

    trajectories: tuple[Trajectory, ...]
    groups: Int[torch.Tensor, "rollouts"]
    lengths: Int[torch.Tensor, "rollouts"]
    rollout_of: Int[torch.Tensor, "tokens"]
    behaviour_logprobs: Float[torch.Tensor, "tokens"]
    ok: Bool[torch.Tensor, "rollouts"]
    kept: Bool[torch.Tensor, "rollouts"]
    rewards: Float[torch.Tensor, "rollouts"]
    parts: Int[torch.Tensor, "rollouts"]
    attempts: Int[torch.Tensor, "rollouts"]
    token_rewards: Float[torch.Tensor, "tokens"] | None = None
    old_logprobs: Float[torch.Tensor, "tokens"] | None = None
    reference_logprobs: Float[torch.Tensor, "tokens"] | None = None
    values: Float[torch.Tensor, "tokens"] | None = None
    local_advantages: Float[torch.Tensor, "tokens"] | None = None
    targets: Float[torch.Tensor, "tokens actions"] | None = None
    advantages: Float[torch.Tensor, "tokens"] | None = None
    returns: Float[torch.Tensor, "tokens"] | None = None
    weights: Float[torch.Tensor, "tokens"] | None = (
        None  # of the loss's terms: the reduction's global denominators
    )
    readings: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Batch({len(self.trajectories)} rollouts, {len(self.rollout_of)} tokens)"

    @property
    def truncated(self) -> Bool[torch.Tensor, "rollouts"]:
        """Rollouts that the length limit ended."""
        return torch.tensor([t.truncated for t in self.trajectories], dtype=torch.bool)

    def select(self, rollouts: Sequence[int]) -> Batch:
        """The batch of the given rollouts, in the given order."""
        index = torch.as_tensor(list(rollouts), dtype=torch.long)
        starts = torch.cumsum(self.lengths, 0) - self.lengths
        lengths = self.lengths[index]
        rollout_of = torch.repeat_interleave(torch.arange(len(index)), lengths)
        offset = torch.arange(len(rollout_of)) - (torch.cumsum(lengths, 0) - lengths)[rollout_of]
        tokens = starts[index][rollout_of] + offset
        per_token = {
            name: value[tokens]
            for name in (
                "behaviour_logprobs", "token_rewards", "old_logprobs", "reference_logprobs",
                "values", "local_advantages", "targets", "advantages", "returns", "weights",
            )
            if (value := getattr(self, name)) is not None
        }  # fmt: skip
        return replace(
            self,
            trajectories=tuple(self.trajectories[i] for i in rollouts),
            groups=self.groups[index],
            parts=self.parts[index],
            attempts=self.attempts[index],
            lengths=lengths,
            rollout_of=rollout_of,
            ok=self.ok[index],
            kept=self.kept[index],
            rewards=self.rewards[index],
            **per_token,
        )


def collect(trajectories: Sequence[Trajectory]) -> Batch:
    """A batch of freshly sampled trajectories: verdicts still to come, every rollout ok and kept."""
    lengths = [t.num_actions for t in trajectories]
    logprobs = [s.logprobs for t in trajectories for s in t.segments if s.logprobs is not None]
    flat = np.concatenate(logprobs) if logprobs else np.empty(0, np.float32)
    size = len(trajectories)
    return Batch(
        trajectories=tuple(trajectories),
        groups=torch.tensor([t.labels["group"] for t in trajectories], dtype=torch.long),
        lengths=torch.tensor(lengths, dtype=torch.long),
        rollout_of=torch.repeat_interleave(torch.arange(size), torch.tensor(lengths, dtype=torch.long)),
        behaviour_logprobs=torch.from_numpy(flat),
        ok=torch.ones(size, dtype=torch.bool),
        kept=torch.ones(size, dtype=torch.bool),
        rewards=torch.zeros(size),
        parts=torch.tensor([t.labels.get("part", 0) for t in trajectories], dtype=torch.long),
        attempts=torch.tensor(
            [t.labels.get("attempt", t.labels["rollout"]) for t in trajectories], dtype=torch.long
        ),
    )
