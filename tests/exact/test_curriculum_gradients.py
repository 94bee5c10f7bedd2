"""By enumeration: what the expected update of a curriculum is the gradient of, with its own draws in the loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from exact.stopped import fixed_slope, moments, slope
from exact.tabular import ANSWERS, Question, close, expected_ascent, gradient, parameters
from exact.test_credit_gradients import ALWAYS, EASY, HARD, NEVER, order_objective
from hone.core.batch import Batch, collect
from hone.core.counting import count
from hone.core.problem import Problem, Verdict
from hone.core.stages import Request
from hone.core.trajectory import Segment, Trajectory
from hone.credit import Grpo, Maxrl, PassAtK, Rloo, StoppedRloo
from hone.curricula import DynamicSampling, EarlyStop, Uniform
from hone.objectives import problem_sum
from hone.selectors import ZeroVariance

BINARY = [HARD, EASY, NEVER, ALWAYS]
RATES = (0.01, 0.1, 0.3, 0.5, 0.9)


def unit_sum(*arguments) -> Tensor:
    """`problem_sum` over a factor of 1: what the theorems need where groups differ in size."""
    return problem_sum(*arguments, length=1)


class One:
    """A task that poses one question for ever."""

    name = "one"

    def __init__(self, question: Question) -> None:
        self.question = question

    def size(self, split: str = "train") -> None:
        return None

    def problem(self, index: int, split: str = "train") -> Problem:
        return Problem("?", index, "one")


def answered(request: Request, answers: tuple[int, ...], question: Question) -> list[Trajectory]:
    first, out = len(request.drawn), []
    prompt = request.drawn[0].segments[0] if first else Segment(np.zeros(1, np.int32), "prompt")
    for i, answer in enumerate(answers):
        size = len(ANSWERS[answer])
        leaf = Segment(np.zeros(size, np.int32), "action", prompt, np.zeros(size, np.float32))
        labels = {"group": request.group, "rollout": first + i, "answer": answer}
        verdict = Verdict(question.rewards[answer])
        out.append(Trajectory(request.problem, leaf, str(answer), "stop", labels, verdict=verdict))
    return out


def steps(curriculum, question: Question, probs: list[float]) -> Iterator[tuple[float, list[Trajectory]]]:
    """Every step that can come of the curriculum's draws, with its probability."""
    task = One(question)

    def go_on(state, chance: float, so_far: list[Trajectory]):
        requests, state = curriculum.draw(state, task, 1, so_far)
        if not requests:
            yield chance, so_far
            return
        for tuples in product(*(product(range(len(ANSWERS)), repeat=r.count) for r in requests)):
            found = [t for r, answers in zip(requests, tuples) for t in answered(r, answers, question)]
            likely = np.prod([probs[t.labels["answer"]] for t in found])
            yield from go_on(state, chance * likely, so_far + found)

    yield from go_on(curriculum.init(task, 0), 1.0, [])


def judged(trajectories: list[Trajectory]) -> Batch:
    rewards = torch.tensor([t.verdict.reward for t in trajectories], dtype=torch.float64)
    return replace(collect(trajectories), rewards=rewards)


def expected_update(
    theta: Tensor, question: Question, curriculum, credit, select=lambda batch: batch
) -> Tensor:
    """The expected ascent of a step under `problem_sum`."""
    probs = question.answer_probs(theta).tolist()
    weights = torch.zeros(len(ANSWERS), dtype=torch.float64)
    for chance, trajectories in steps(curriculum, question, probs):
        batch = select(judged(trajectories))
        counts = count(batch.lengths, batch.groups, batch.kept)
        reduced = unit_sum(batch.rollout_of, batch.lengths, batch.groups, batch.kept, counts)
        last = torch.cumsum(batch.lengths, 0) - 1  # a rollout's tokens weigh the same
        amounts = chance * credit(batch.rewards, batch.groups) * reduced[last]
        weights.index_add_(0, torch.tensor([t.labels["answer"] for t in trajectories]), amounts)
    logprobs = torch.stack([question.token_logprobs(theta, a).sum() for a in range(len(ANSWERS))])
    return gradient((weights * logprobs).sum(), theta)


@pytest.mark.parametrize("question", BINARY)
def test_stopped_rloo_is_the_gradient_of_expected_reward(question: Question):
    theta = parameters()
    update = expected_update(theta, question, EarlyStop(4, 1, 0, 2), StoppedRloo(2, 4))
    assert close(update, gradient(question.expected_reward(theta), theta))


def test_rloo_of_stopped_groups_is_not_and_by_how_much():
    theta = parameters()
    p = HARD.expected_reward(theta)
    update = expected_update(theta, HARD, EarlyStop(4, 1, 0, 2), Rloo())
    assert close(update, slope(Rloo(), 2, 4, p.item()) * gradient(p, theta))
    assert slope(Rloo(), 2, 4, p.item()) > 1.4


@pytest.mark.parametrize(("round", "most"), [(2, 4), (4, 16), (3, 9), (8, 24)])
def test_stopped_rloo_at_every_pass_rate(round: int, most: int):
    for p in RATES:
        assert slope(StoppedRloo(round, most), round, most, p) == pytest.approx(1, abs=1e-9)


def test_the_numbers_that_the_docstrings_give():
    """Of rounds of 4 up to 16, for p = 0.5, 0.3, 0.1, 0.01."""
    rates = (0.5, 0.3, 0.1, 0.01)

    def rounded(of):
        return [round(of(p), 2) for p in rates]

    assert rounded(lambda p: slope(Rloo(), 4, 16, p)) == [1.10, 1.19, 1.58, 2.02]
    assert rounded(lambda p: slope(Grpo(), 4, 16, p)) == [1.60, 1.82, 3.00, 4.49]
    assert rounded(lambda p: slope(Maxrl(), 4, 16, p)) == [2.00, 3.13, 7.34, 12.97]
    assert rounded(lambda p: fixed_slope(Grpo(), 16, p)) == [1.87, 2.03, 2.76, 3.61]
    assert rounded(lambda p: (1 - (1 - p) ** 15) / p) == [2.00, 3.32, 7.94, 13.99]
    assert rounded(lambda p: moments(Rloo(), 4, 16, p)[0]) == [4.53, 5.28, 9.48, 15.08]
    cost = {p: moments(StoppedRloo(4, 16), 4, 16, p) for p in rates}
    assert rounded(lambda p: cost[p][0] * cost[p][1] / (p * (1 - p))) == [1.21, 1.37, 2.09, 2.70]


@pytest.mark.parametrize(("question", "refills"), [(HARD, 1), (EASY, 1), (NEVER, 1)])
def test_dynamic_sampling_has_the_direction_of_uniform(question: Question, refills: int):
    theta = parameters()
    p = question.expected_reward(theta)
    without = (p**2 + (1 - p) ** 2).item()  # share of groups of two without signal
    factor = sum(without**r for r in range(refills + 1))
    curriculum = DynamicSampling(2, 1, 0, refills)
    update = expected_update(theta, question, curriculum, Rloo(), ZeroVariance())
    assert close(update, factor * gradient(p, theta))


@pytest.mark.parametrize("problems", [1, 2])
def test_zero_variance_has_the_direction_of_uniform(problems: int):
    theta = parameters()
    p = HARD.expected_reward(theta)
    share = (2 * p * (1 - p)).item()
    update = expected_update(theta, HARD, Uniform(2, problems), Rloo(), ZeroVariance())
    assert close(update, (1 - (1 - share) ** problems) / share * gradient(p, theta))


def test_unequal_groups_of_problem_sum_count_once():
    theta = parameters()
    sizes = (3, 2)

    def mean(of):
        return (of(HARD, sizes[0]) + of(EASY, sizes[1])) / 2

    def p(q):
        return q.expected_reward(theta)

    cases = [
        (Rloo(), mean(lambda q, n: p(q))),
        (Maxrl(), mean(lambda q, n: order_objective(p(q), n - 1))),  # another objective for each problem
        (Maxrl(order=2), mean(lambda q, n: order_objective(p(q), 2))),  # the same for all
        (PassAtK(2), mean(lambda q, n: q.expected_best(theta, 2))),
    ]
    for credit, objective in cases:
        found = expected_ascent(theta, [HARD, EASY], sizes, credit, reduce=unit_sum)
        assert close(found, gradient(objective, theta)), credit
