"""A small autoregressive softmax policy whose answers, of 1 to 3 tokens, can all be enumerated, in
float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor

from hone.core.counting import count
from hone.objectives import PolicyGradient, sequence_sum

STOP, GO = 0, 1
# The state is how often the policy has gone on; at depth 2 either action ends the answer.
ANSWERS = (((0, STOP),), ((0, GO), (1, STOP)), ((0, GO), (1, GO), (2, STOP)), ((0, GO), (1, GO), (2, GO)))
GROUP_IDS = (7, 3)  # neither compact nor sorted


@dataclass(frozen=True)
class Question:
    """A problem: how it reads the shared parameters, and the reward of each of the four answers."""

    rewards: tuple[float, ...]
    slope: float = 1.0
    offset: float = 0.0

    def log_table(self, theta: Tensor) -> Tensor:
        """Log-probability of [state, action]."""
        shift = torch.tensor([[0.0, 1.0], [0.5, 0.0], [0.0, -0.4]], dtype=theta.dtype)
        return torch.log_softmax(self.slope * theta + self.offset * shift, dim=-1)

    def token_logprobs(self, theta: Tensor, answer: int) -> Tensor:
        """Log-probability of each token of an answer."""
        table = self.log_table(theta)
        return torch.stack([table[state, action] for state, action in ANSWERS[answer]])

    def answer_probs(self, theta: Tensor) -> Tensor:
        """Probability of each answer."""
        return torch.stack([self.token_logprobs(theta, a).sum().exp() for a in range(len(ANSWERS))])

    def expected_reward(self, theta: Tensor) -> Tensor:
        """The pass rate, where rewards are 0 and 1."""
        return self.answer_probs(theta) @ torch.tensor(self.rewards, dtype=theta.dtype)

    def expected_best(self, theta: Tensor, k: int) -> Tensor:
        """Expected largest reward of k independent answers."""
        probs = self.answer_probs(theta)
        tuples = product(range(len(ANSWERS)), repeat=k)
        return torch.stack(
            [prod(probs[a] for a in t) * max(self.rewards[a] for a in t) for t in tuples]
        ).sum()


def parameters() -> Tensor:
    return torch.tensor([[0.3, -0.2], [-0.5, 0.1], [0.2, 0.6]], dtype=torch.float64, requires_grad=True)


def gradient(objective: Tensor, theta: Tensor) -> Tensor:
    """Gradient with respect to theta; zero where the objective does not depend on it."""
    if not objective.requires_grad:
        return torch.zeros_like(theta)
    (grad,) = torch.autograd.grad(objective, theta, retain_graph=True)
    return grad


def summed(*arguments: Any) -> Tensor:
    """`sequence_sum` over a factor of 1: the reduction the theorems need."""
    return sequence_sum(*arguments, length=1)


def expected_ascent(
    theta: Tensor,
    questions: Sequence[Question],
    sizes: Sequence[int],
    credit: Callable[[Tensor, Tensor], Tensor],
    *,
    reduce: Callable[..., Tensor] = summed,
    objective: Any = None,
    correction: Any = None,
    sampler: Tensor | None = None,
    penalty: Callable[[Question, int], float] | None = None,
) -> Tensor:
    """Minus the expected gradient of the loss, over every tuple of answers to groups of the given sizes.

    `sampler` are the parameters that sample (default: theta). `penalty` is added to an answer's reward.
    """
    objective = objective or PolicyGradient()
    source = theta.detach() if sampler is None else sampler
    owners = [q for q, size in enumerate(sizes) for _ in range(size)]
    groups = torch.tensor([GROUP_IDS[q] for q in owners])
    probs = [question.answer_probs(source).tolist() for question in questions]
    new = [[question.token_logprobs(theta, a) for a in range(len(ANSWERS))] for question in questions]
    old = [[question.token_logprobs(source, a) for a in range(len(ANSWERS))] for question in questions]
    kept = torch.ones(len(owners), dtype=torch.bool)

    @cache  # many tuples of answers share their rewards
    def advantages_of(rewards: tuple[float, ...]) -> Tensor:
        return credit(torch.tensor(rewards, dtype=theta.dtype), groups)

    @cache  # and their lengths
    def weights_of(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        sizes = torch.tensor(lengths)
        rollout_of = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        return rollout_of, reduce(rollout_of, sizes, groups, kept, count(sizes, groups, kept))

    logprobs, behaviour, advantages, weights, rollouts = [], [], [], [], []
    for serial, answers in enumerate(product(range(len(ANSWERS)), repeat=len(owners))):
        chance = prod(probs[q][a] for q, a in zip(owners, answers))
        rewards = tuple(
            questions[q].rewards[a] + (penalty(questions[q], a) if penalty else 0.0)
            for q, a in zip(owners, answers)
        )
        rollout_of, weight = weights_of(tuple(len(ANSWERS[a]) for a in answers))
        weights.append(chance * weight)
        advantages.append(advantages_of(rewards)[rollout_of])
        rollouts.append(rollout_of + serial * len(owners))
        logprobs += [new[q][a] for q, a in zip(owners, answers)]
        behaviour += [old[q][a] for q, a in zip(owners, answers)]
    flat, rollout_ids = torch.cat(logprobs), torch.cat(rollouts)
    terms = objective(flat, flat.detach(), torch.cat(advantages), rollout_ids)
    if correction is not None:
        terms = terms * correction(flat.detach(), torch.cat(behaviour), rollout_ids)
    return -gradient((torch.cat(weights) * terms).sum(), theta)


def close(actual: Tensor, wanted: Tensor) -> bool:
    return torch.allclose(actual, wanted, rtol=0, atol=1e-10)
