"""Majority votes: which answers are the same, which of them a group gives most often, and how they spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hone.core.lazy import torch
from hone.core.packed import segment_max, segment_size, segment_sum
from hone.core.problem import Task, Verdict

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

ABSTAINS = -1  # the identity of an answer that could not be read
STORED = "majority"  # where a problem's `meta` has the text of a majority that was found before training


class Equality(Protocol):
    """Which parsed answers are the same: a task, a verifier or a judge."""

    def same(self, a: Any, b: Any) -> bool:
        """Whether two answers mean the same."""
        ...

    def key(self, answer: Any) -> str:
        """A string under which equal answers are grouped before `same` is asked."""
        ...


def clusters(equality: Equality, answers: Sequence[Any]) -> list[list[int]]:
    """Positions of equal answers, in the order of their first members: by `key`, then by `same` with the first member.

    Answers that are None are equal to nothing: each is a cluster of its own.
    """
    found: list[list[int]] = []
    by_key: dict[str, list[list[int]]] = {}
    for at, answer in enumerate(answers):
        if answer is None:
            found.append([at])
            continue
        bucket = by_key.setdefault(equality.key(answer), [])
        for cluster in bucket:
            if equality.same(answers[cluster[0]], answer):
                cluster.append(at)
                break
        else:
            bucket.append([at])
            found.append(bucket[-1])
    return found


def identities(equality: Equality, answers: Sequence[Any]) -> Int[torch.Tensor, "rollouts"]:
    """A number for each answer, the same for equal ones; `ABSTAINS` for None."""
    out = torch.full((len(answers),), ABSTAINS, dtype=torch.long)
    for number, cluster in enumerate(clusters(equality, answers)):
        if answers[cluster[0]] is not None:
            out[cluster] = number
    return out


def answers_of(verdicts: Sequence[Verdict], texts: Sequence[str], task: Task) -> list[Any]:
    """The answer that each text gives, as its judge has parsed it, or else the task; None where there is none."""
    return [
        verdict.answer if verdict.answer is not None else task.parse(text)
        for verdict, text in zip(verdicts, texts, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class Votes:
    """The vote of every group. `winner[R]` says whose answer is that of its group's majority; `share[R]` is the share
    of the group's votes that a rollout's answer has, 0 where it abstains; `frequency[G]` the majority's share, 0 in a
    group without votes; `votes[G]` how many answers voted.
    """

    winner: Bool[torch.Tensor, "rollouts"]
    share: Float[torch.Tensor, "rollouts"]
    frequency: Float[torch.Tensor, "groups"]
    votes: Int[torch.Tensor, "groups"]


def vote(answers: Int[torch.Tensor, "rollouts"], groups: Int[torch.Tensor, "rollouts"], count: int) -> Votes:
    """The majority answer of each of `count` groups, `groups` in 0..count-1; of equal counts, the first to appear wins.

    `answers` are identities within a group, not negative; `ABSTAINS` has no vote and never wins.
    """
    voting = answers >= 0
    size = len(answers)
    kinds = int(answers.max()) + 1 if size else 1
    pairs, which = torch.unique(groups[voting] * max(1, kinds) + answers[voting], return_inverse=True)
    tally = segment_size(which, len(pairs))
    places = torch.arange(size)[voting]
    first = -segment_max(-places.double(), which, len(pairs)).long()
    owner = torch.div(pairs, max(1, kinds), rounding_mode="floor")
    rank = (tally * (size + 1) - first).double()  # more votes first, then the earlier
    wins = rank == segment_max(rank, owner, count)[owner]
    winner = torch.zeros(size, dtype=torch.bool)
    winner[voting] = wins[which]
    votes = segment_size(groups[voting], count)
    share = torch.zeros(size, dtype=torch.float64)
    share[voting] = tally[which].double() / votes[groups[voting]]
    top = segment_sum(torch.where(wins, tally, 0).double(), owner, count)
    return Votes(winner, share, top / votes.clamp(min=1), votes)


@dataclass(frozen=True)
class Spread:
    """How answers spread over prompts, every prompt weighing the same. `mode_share` is the largest share that one
    answer has of them all, in [0, 1]; `information` is I(prompt; answer) and `entropy` H(answer | prompt), in nats.
    """

    mode_share: float
    information: float
    entropy: float


def spread(
    answers: Int[torch.Tensor, "rollouts"], groups: Int[torch.Tensor, "rollouts"], count: int
) -> Spread | None:
    """The spread of `answers`, identities across all groups; groups without a vote are left out, None if all are.

    Plug-in estimates: with few votes a group the entropy is too low and the information too high, so they are to be
    compared with each other over time, and not with a true value.
    """
    voting = answers >= 0
    if not bool(voting.any()):
        return None
    kinds = int(answers.max()) + 1
    table = torch.zeros(count, kinds, dtype=torch.float64)
    table.index_put_(
        (groups[voting], answers[voting]), torch.ones(int(voting.sum()), dtype=torch.float64), accumulate=True
    )
    table = table[table.sum(1) > 0]
    table = table / table.sum(1, keepdim=True)
    pooled = table.mean(0)
    within = float(torch.special.entr(table).sum(1).mean())
    return Spread(float(pooled.max()), float(torch.special.entr(pooled).sum()) - within, within)
