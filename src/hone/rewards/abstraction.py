"""The reward of an abstraction: how often it leads to a right solution, unless it gives the answer away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from hone.core.batch import Batch
from hone.core.lazy import torch
from hone.core.options import require_choice
from hone.core.packed import segment_mean, segment_size
from hone.core.parts import Part
from hone.core.problem import Problem, Verdict
from hone.core.stages import Context
from hone.core.trajectory import Trajectory

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Leak = Literal["none", "answer"]


@dataclass(frozen=True)
class AbstractionReward:
    """After the verdicts: r(x, z) is the mean reward of the solutions that were given z, and 0 if z leaks.

    z leaks if an answer from z without the problem was right (the episode's `blind` ones), and with `leak: answer` also
    if z itself is a right solution, or holds the reference answer where the problem's text does not.

    With `mask_bare` the reward of bare solutions is 0, so that their group has no policy gradient and feels the KL
    alone (Eq. 3). Rollouts of frozen models are not learnt from, nor are blind ones, which count nowhere. The verdict
    on an abstraction has the parts `solved`, `leak`, and `base` where bare solutions were judged; an empty one is worth
    0.
    Source: RLAD (arXiv 2510.02263), section 4.
    """

    mask_bare: bool = True
    leak: Leak = "answer"

    needs: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        require_choice("rewards.leak", self.leak, ("none", "answer"))

    def formula(self) -> str:
        """The rewards in plain text."""
        bare = ", r(x, ∅, y) = 0" if self.mask_bare else ""
        return f"r(x, z) = mean over its solutions of r(x, z, y), 0 if z leaks{bare}"

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with rewards of abstractions, of bare solutions, and `kept` narrowed."""
        owner = owners(batch)
        rewards = torch.where(batch.ok, batch.rewards, 0.0).double()
        worth = solved(batch, rewards, owner)
        told = self._blindly(batch, owner)
        base = bare_means(batch, rewards)
        trajectories, values, ok = list(batch.trajectories), batch.rewards.clone(), batch.ok.clone()
        for i, t in enumerate(trajectories):
            if t.labels["part"] == Part.ABSTRACTION:
                leaks = bool(told[i]) or (self.leak == "answer" and answers(t))
                verdict = judged(t, float(worth[i]), leaks, base.get(t.labels["group"]))
                trajectories[i] = replace(t, verdict=verdict)
                ok[i] = verdict.status == "ok"
                values[i] = float("nan") if verdict.reward is None else verdict.reward
        if self.mask_bare:
            values[(batch.parts == Part.BARE) & ok] = 0.0
        ok &= batch.parts != Part.BLIND
        own = torch.tensor([sampled_by_policy(t) for t in trajectories], dtype=torch.bool)
        return replace(
            batch, trajectories=tuple(trajectories), rewards=values, ok=ok, kept=batch.kept & ok & own
        )

    def _blindly(self, batch: Batch, owner: torch.Tensor) -> Bool[torch.Tensor, "rollouts"]:
        """Of which abstractions an answer without the problem was right."""
        right = (batch.parts == Part.BLIND) & batch.ok & (torch.nan_to_num(batch.rewards) >= 1)
        told = torch.zeros(len(owner), dtype=torch.bool)
        told[owner[right]] = True
        return told


def owners(batch: Batch) -> torch.Tensor:
    """`[R]` the place in the batch of each rollout's abstraction; its own place where it has none."""
    places = {
        (t.labels["group"], t.labels["item"]): i
        for i, t in enumerate(batch.trajectories)
        if t.labels["part"] == Part.ABSTRACTION
    }
    return torch.tensor(
        [places.get((t.labels["group"], t.labels["item"]), i) for i, t in enumerate(batch.trajectories)]
    )


def solved(
    batch: Batch, rewards: Float[torch.Tensor, "rollouts"], owner: torch.Tensor
) -> Float[torch.Tensor, "rollouts"]:
    """The mean reward of each abstraction's own solutions; NaN where none was judged, and of what is no abstraction."""
    mine = (batch.parts == Part.SOLUTION) & batch.ok
    count = len(owner)
    means = segment_mean(rewards[mine], owner[mine], count)
    return torch.where(segment_size(owner[mine], count) > 0, means, float("nan"))


def bare_means(batch: Batch, rewards: Float[torch.Tensor, "rollouts"]) -> Mapping[int, float]:
    """The mean reward of the bare solutions of each group that has one."""
    found: dict[int, list[float]] = {}
    for i in ((batch.parts == Part.BARE) & batch.ok).nonzero()[:, 0].tolist():
        found.setdefault(int(batch.groups[i]), []).append(float(rewards[i]))
    return {group: sum(values) / len(values) for group, values in found.items()}


def judged(abstraction: Trajectory, worth: float, leaks: bool, base: float | None) -> Verdict:
    """The verdict on an abstraction whose solutions have the mean reward `worth` (NaN: there is none)."""
    empty = not abstraction.text.strip()
    if worth != worth and not empty:
        return Verdict(None, "not_applicable", detail="none of its solutions was judged")
    parts = {"solved": 0.0 if empty else worth, "leak": float(leaks)}
    if base is not None:
        parts["base"] = base
    detail = "empty" if empty else "gives the answer away" if leaks else ""
    return Verdict(0.0 if empty or leaks else worth, parts=parts, detail=detail)


def answers(abstraction: Trajectory) -> bool:
    """Whether an abstraction was judged a right solution, or holds the reference answer as the problem does not."""
    verdict = abstraction.verdict
    if verdict is not None and verdict.reward is not None and verdict.reward >= 1:
        return True
    return holds(abstraction.problem, abstraction.text)


def holds(problem: Problem, text: str) -> bool:
    """Whether the reference answer stands in `text` as a word of its own, and not in the problem."""
    answer = "" if problem.answer is None else str(problem.answer).strip()
    if not answer:
        return False
    word = re.compile(rf"(?<![\w.]){re.escape(answer)}(?![\w])")
    return bool(word.search(text)) and not word.search(problem.text())


def sampled_by_policy(trajectory: Trajectory) -> bool:
    """Whether the policy chose every action, so that its loss is the policy's."""
    return all(s.role == "policy" for s in trajectory.segments if s.kind == "action")
