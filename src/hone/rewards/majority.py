"""The reward of self-training: agreement with the majority answer of the rollout's own group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hone.core.batch import Batch
from hone.core.lazy import torch
from hone.core.options import require
from hone.core.packed import compact
from hone.core.problem import Verdict
from hone.core.stages import Context, Judge
from hone.core.voting import Votes, answers_of, identities, vote
from hone.rewards.reading import judged, spread_metrics, with_rewards

if TYPE_CHECKING:
    from jaxtyping import Bool, Int


@dataclass(frozen=True)
class Majority:
    """1 for the answer that most of the group's parsed answers equal, 0 for any other; labels are not read.

    Answers are equal if the judge says so; of equal counts the first to appear wins. `soft` gives every answer the
    share of the votes that it has instead. A group is labelled if its majority has at least `threshold` of its votes
    and it is among the `keep_fraction` of the step's groups with the highest such share; every other group gets 0 and
    is in no loss. A group without any answer is not labelled either; `unparsed: zero` leaves it in the loss with 0.

    The hidden labels are asked for metrics alone. Source: Shafayat et al. 2025 (arXiv 2505.21444).
    """

    soft: bool = False
    threshold: float = 0.0
    keep_fraction: float = 1.0
    unparsed: Literal["drop", "zero"] = "drop"

    needs: ClassVar[frozenset[str]] = frozenset({"verdicts"})
    hides_labels: ClassVar[bool] = True
    min_group: ClassVar[int] = 3  # of two answers that differ, the first wins by its place alone

    def __post_init__(self) -> None:
        require("rewards.threshold", self.threshold, 0 <= self.threshold <= 1, "a share, from 0 to 1")
        require(
            "rewards.keep_fraction", self.keep_fraction, 0 < self.keep_fraction <= 1, "above 0 and at most 1"
        )

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with the rewards of the vote and `srt/` metrics."""
        verdicts = await judged(batch, context)
        answers = answers_of(verdicts, [t.text for t in batch.trajectories], context.task)
        groups, count = compact(batch.groups)
        votes = vote(identities_within(context.judge, answers, groups, count), groups, count)
        labelled = self.labelled(votes)
        rewards = votes.share if self.soft else votes.winner.double()
        rewards = torch.where(labelled[groups], rewards, 0.0)
        learnt = labelled | (votes.votes == 0) if self.unparsed == "zero" else labelled
        metrics = {
            **vote_metrics(votes, labelled, groups, rewards, verdicts),
            **spread_metrics(batch, verdicts, answers, context),
        }
        return with_rewards(batch, verdicts, answers, rewards, learnt[groups], metrics)

    def labelled(self, votes: Votes) -> Bool[torch.Tensor, "groups"]:
        """Which groups the majority labels; of equally frequent majorities the earlier groups are kept."""
        good = (votes.votes > 0) & (votes.frequency >= self.threshold)
        most = ceil(self.keep_fraction * len(good) - 1e-9)
        kept = torch.zeros_like(good)
        kept[torch.argsort(votes.frequency, descending=True, stable=True)[:most]] = True
        return good & kept

    def formula(self) -> str:
        """The reward in plain text; shares are of the group's parsed answers."""
        reward = "share(a_i)" if self.soft else "1 if a_i is the majority answer, else 0"
        limits = [f"share(majority) ≥ {self.threshold:g}"] if self.threshold else []
        if self.keep_fraction < 1:
            limits.append(f"it is among the {self.keep_fraction:.3g} of the step's groups with the largest")
        where = f", in no loss unless {' and '.join(limits)}" if limits else ""
        return f"r_i = {reward}{where}"

    __repr__ = formula


def identities_within(
    judge: Judge, answers: Sequence[Any], groups: Int[torch.Tensor, "rollouts"], count: int
) -> Int[torch.Tensor, "rollouts"]:
    """Identities of answers that are compared with those of their own group alone."""
    out = torch.empty(len(answers), dtype=torch.long)
    for group in range(count):
        members = (groups == group).nonzero().flatten()
        out[members] = identities(judge, [answers[i] for i in members.tolist()])
    return out


def vote_metrics(
    votes: Votes,
    labelled: Bool[torch.Tensor, "groups"],
    groups: Int[torch.Tensor, "rollouts"],
    rewards: Any,
    verdicts: Sequence[Verdict],
) -> dict[str, float]:
    """Shares of groups that are labelled, and labelled right; the mean majority and the mean reward of labelled groups.

    `srt/labelled_right` is of the labelled groups whose hidden verdict on the majority answer is known.
    """
    some = votes.votes > 0
    out = {"srt/labelled": float(labelled.double().mean())}
    if bool(some.any()):
        out["srt/majority_frequency"] = float(votes.frequency[some].mean())
    if bool(labelled.any()):
        out["srt/pseudo_reward"] = float(rewards[labelled[groups]].mean())
    right: dict[int, bool] = {}
    for group, wins, verdict in zip(groups.tolist(), votes.winner.tolist(), verdicts, strict=True):
        if wins and verdict.reward is not None and bool(labelled[group]):
            right.setdefault(group, verdict.reward >= 1)
    return out | ({"srt/labelled_right": sum(right.values()) / len(right)} if right else {})
