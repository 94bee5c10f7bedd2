"""The toy world of SRT: a linear softmax whose weights and bias all problems share.

Axes: S seeds side by side, P problems, A answers, D features. Everything is float64; each seed has noise of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hone.core.guards import CollapseGuard
from hone.core.voting import Votes, spread, vote
from hone.credit import Maxrl, Rloo
from hone.training.guards.collapse import collapsed, remember
from hone.training.guards.readings import Past, Readings


@dataclass(frozen=True)
class Dials:
    """The world and how it is trained. Features of a problem are the mean of its class times a clarity, from `clearest`
    down to `dullest`, plus noise of norm about `noise`; the policy starts from the class means times `start`, disturbed
    by `error`. Weights decay towards zero and the bias does not, which is what makes the bias cheap.
    """

    answers: int = 10
    features: int = 20
    problems: int = 400
    labelled: float = 0.05  # share of the problems that are held out with labels
    clearest: float = 3.0
    dullest: float = 0.0
    noise: float = 1.0
    start: float = 0.5
    error: float = 1.0
    per_step: int = 64
    rollouts: int = 16
    rate: float = 1.0
    bias_rate: float = 1.5
    decay: float = 0.008
    steps: int = 800
    every: int = 10  # steps between two readings


class World:
    """The problems and the policy of several seeds."""

    def __init__(self, dials: Dials, seeds: list[int]) -> None:
        self.dials, self.noise = dials, [torch.Generator().manual_seed(seed) for seed in seeds]
        d, count = dials, len(seeds)
        basis = torch.linalg.qr(self._normal(d.features, d.answers)).Q.transpose(1, 2)  # [S, A, D]
        means = basis * d.clearest
        self.correct = (torch.arange(d.problems) % d.answers).expand(count, -1)
        clarity = torch.stack([torch.rand(d.problems, generator=g, dtype=torch.float64) for g in self.noise])
        low = d.dullest / d.clearest
        own = torch.gather(means, 1, self.correct[..., None].expand(-1, -1, d.features))
        scale = d.features**-0.5
        self.inputs = own * (low + (1 - low) * clarity)[..., None] + d.noise * scale * self._normal(
            d.problems, d.features
        )
        self.weights = d.start * (means + d.error * d.clearest * scale * self._normal(d.answers, d.features))
        self.bias = torch.zeros(count, d.answers, dtype=torch.float64)
        self.held_out = round(d.labelled * d.problems)  # the first problems
        self.trained_on = [torch.arange(self.held_out, d.problems) for _ in seeds]

    def _normal(self, *shape: int) -> Tensor:
        return torch.stack([torch.randn(*shape, generator=g, dtype=torch.float64) for g in self.noise])

    def policy(self, chosen: Tensor | None = None) -> Tensor:
        """Probabilities [S, problems, A] of all problems, or of those `chosen` [S, B]."""
        inputs = self.inputs if chosen is None else self._of(chosen)
        logits = torch.einsum("sad,spd->spa", self.weights, inputs) + self.bias[:, None]
        return torch.softmax(logits, -1)

    def sample(self, probabilities: Tensor, count: int) -> Tensor:
        """`count` answers [S, B, count] to each problem."""
        rows = [torch.multinomial(p, count, True, generator=g) for p, g in zip(probabilities, self.noise)]
        return torch.stack(rows)

    def draw(self) -> Tensor:
        """Training problems [S, B] of a step."""
        picked = [
            pool[torch.randint(len(pool), (self.dials.per_step,), generator=g)]
            for pool, g in zip(self.trained_on, self.noise)
        ]
        return torch.stack(picked)

    def keep_easiest(self, share: float) -> None:
        """Train on the problems alone whose majority among fresh answers is most frequent."""
        answers = self.sample(self.policy(), self.dials.rollouts)
        for seed, pool in enumerate(self.trained_on):
            order = torch.argsort(majorities(answers[seed]).frequency[pool], descending=True, stable=True)
            self.trained_on[seed] = pool[order[: round(share * len(pool))]]

    def labels(self) -> Tensor:
        """The majority answer [S, P] of fresh answers to every problem."""
        answers = self.sample(self.policy(), self.dials.rollouts)
        rows = []
        for row in answers:
            winner = majorities(row).winner.reshape(row.shape)
            rows.append(torch.gather(row, 1, winner.double().argmax(1, keepdim=True))[:, 0])
        return torch.stack(rows)

    def climb(self, chosen: Tensor, probabilities: Tensor, answers: Tensor, advantages: Tensor) -> None:
        """One policy-gradient step, with the mean over rollouts."""
        d = self.dials
        pull = torch.zeros_like(probabilities).scatter_add_(2, answers, advantages)
        score = (pull - advantages.sum(-1, keepdim=True) * probabilities) / (d.per_step * d.rollouts)
        grown = torch.einsum("sba,sbd->sad", score, self._of(chosen))
        self.weights = self.weights * (1 - d.rate * d.decay) + d.rate * grown
        self.bias = self.bias + d.bias_rate * score.sum(1)

    def _of(self, chosen: Tensor) -> Tensor:
        return torch.gather(self.inputs, 1, chosen[..., None].expand(-1, -1, self.dials.features))


def majorities(answers: Tensor) -> Votes:
    """The votes of answers [groups, rollouts]."""
    groups = torch.arange(len(answers)).repeat_interleave(answers.shape[1])
    return vote(answers.reshape(-1), groups, len(answers))


def train(dials: Dials, seeds: list[int], arm: str) -> dict[str, list[list[float]]]:
    """Readings [S][times] of one arm: `labels`, `online`, `fixed` (the start's majorities), `easy` (the third of the
    problems with the clearest majorities), or `maxrl` (online with MaxRL's credit). Accuracies are exact, on the
    problems without labels; `labelled` is sampled on those that have them. `alarm` is 1 from where the guard speaks.
    """
    world, credit = World(dials, seeds), Maxrl() if arm == "maxrl" else Rloo()
    stored = world.correct if arm == "labels" else world.labels()
    if arm == "easy":
        world.keep_easiest(1 / 3)
    guard, past = CollapseGuard(), [Past() for _ in seeds]  # type: ignore[call-arg]
    alarmed = torch.zeros(len(seeds), dtype=torch.bool)
    out: dict[str, list[Tensor]] = {}
    for step in range(dials.steps + 1):
        if step % dials.every == 0:
            for name, values in readings(world).items():
                out.setdefault(name, []).append(values)
            out.setdefault("alarm", []).append(alarmed.double())
        chosen = world.draw()
        probabilities = world.policy(chosen)
        answers = world.sample(probabilities, dials.rollouts)
        groups = torch.arange(len(seeds) * dials.per_step).repeat_interleave(dials.rollouts)
        votes = vote(answers.reshape(-1), groups, len(seeds) * dials.per_step)
        if arm in ("labels", "fixed"):
            rewards = (answers == torch.gather(stored, 1, chosen)[..., None]).double().reshape(-1)
        else:
            rewards = votes.winner.double()
        for seed in range(len(seeds)):
            now = looked_at(answers[seed])
            if collapsed(now, past[seed], guard, None):
                alarmed[seed] = True
            remember(past[seed], now, guard)
        world.climb(chosen, probabilities, answers, credit(rewards, groups).reshape(answers.shape))
    return {name: torch.stack(rows, 1).tolist() for name, rows in out.items()}


def looked_at(answers: Tensor) -> Readings:
    """What the guard reads of a step's answers [groups, rollouts]."""
    groups = torch.arange(len(answers)).repeat_interleave(answers.shape[1])
    found = spread(answers.reshape(-1), groups, len(answers))
    assert found is not None  # every answer votes
    return Readings(mode_share=found.mode_share, information=found.information)


def readings(world: World) -> dict[str, Tensor]:
    """Exact readings of the present policy, one a seed, and the sampled accuracy on the labelled problems."""
    probabilities, held = world.policy(), world.held_out
    right = torch.gather(probabilities, 2, world.correct[..., None])[..., 0]
    answers = world.sample(probabilities[:, :held], world.dials.rollouts)
    return {
        "accuracy": right[:, held:].mean(1),
        "majority_accuracy": (probabilities.argmax(-1) == world.correct)[:, held:].double().mean(1),
        "pseudo_reward": probabilities[:, held:].max(-1).values.mean(1),
        "mode_share": probabilities[:, held:].mean(1).max(-1).values,
        "labelled": (answers == world.correct[:, :held, None]).double().mean((1, 2)),
    }


def rank_correlation(values: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row [S, times] with time."""
    ranks = np.argsort(np.argsort(values, axis=1), axis=1).astype(float)
    time = np.arange(values.shape[1], dtype=float)
    centred, times = ranks - ranks.mean(1, keepdims=True), time - time.mean()
    return np.asarray(centred @ times / np.sqrt((centred**2).sum(1) * (times**2).sum()))
