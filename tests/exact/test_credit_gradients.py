"""By enumeration: the expected update of each outcome credit piece is the gradient that its docstring
claims."""

from __future__ import annotations

from math import comb, sqrt

import pytest
import torch

from exact.tabular import Question, close, expected_ascent, gradient, parameters
from hone.credit import Chain, Grpo, Maxrl, PassAtK, Reinforce, Rloo
from hone.objectives import Cispo, Gspo, PolicyGradient, PpoClip, sequence_mean, token_mean

HARD = Question((0.0, 1.0, 0.0, 1.0), slope=0.7, offset=0.5)
EASY = Question((1.0, 0.0, 1.0, 1.0), slope=-1.1, offset=-0.3)
NEVER = Question((0.0, 0.0, 0.0, 0.0))
ALWAYS = Question((1.0, 1.0, 1.0, 1.0))
REAL = Question((-0.5, 2.0, 0.3, 0.3), slope=0.7, offset=0.5)


def order_objective(p, order):
    """J_T of the MaxRL paper."""
    return -sum((1 - p) ** k / k for k in range(1, order + 1))


@pytest.mark.parametrize("question", [HARD, EASY, NEVER, ALWAYS, REAL])
@pytest.mark.parametrize("size", [2, 4])
def test_rloo_is_the_gradient_of_expected_reward(question, size):
    theta = parameters()
    wanted = gradient(question.expected_reward(theta), theta)
    assert close(expected_ascent(theta, [question], [size], Rloo()), wanted)


def test_no_signal_without_siblings():
    theta = parameters()
    for credit in (Rloo(), Grpo(), Maxrl(), PassAtK(1), PassAtK(2)):
        assert close(expected_ascent(theta, [HARD], [1], credit), torch.zeros_like(theta))


@pytest.mark.parametrize("sizes", [(3, 2), (3, 1)])
def test_unequal_groups_weigh_by_rollouts(sizes):
    theta = parameters()
    total = sum(sizes)

    def mixture(of):
        return sum(n / total * of(q, n) for q, n in zip((HARD, EASY), sizes))

    def p(q):
        return q.expected_reward(theta)

    zero = 0 * theta.sum()
    cases = [
        (Rloo(), mixture(lambda q, n: p(q) if n > 1 else zero)),
        (Reinforce(), (1 - 1 / total) * mixture(lambda q, n: p(q))),
        (Reinforce("none"), mixture(lambda q, n: p(q))),
        (Grpo(scale="none"), mixture(lambda q, n: (1 - 1 / n) * p(q))),
        (Maxrl(), mixture(lambda q, n: order_objective(p(q), n - 1) if n > 1 else zero)),
        (Maxrl(order=2), mixture(lambda q, n: order_objective(p(q), min(2, n)))),
        (PassAtK(2), mixture(lambda q, n: q.expected_best(theta, 2) if n > 1 else zero)),
    ]
    for credit, objective in cases:
        wanted = gradient(objective, theta)
        assert close(expected_ascent(theta, [HARD, EASY], sizes, credit), wanted), credit


@pytest.mark.parametrize("question", [HARD, EASY, NEVER, ALWAYS])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_maxrl_published_form_is_one_order_below_its_group(question, size):
    theta = parameters()
    wanted = gradient(order_objective(question.expected_reward(theta), size - 1), theta)
    assert close(expected_ascent(theta, [question], [size], Maxrl()), wanted)
    higher = gradient(order_objective(question.expected_reward(theta), size), theta)
    if question in (HARD, EASY):
        assert not close(wanted, higher)


@pytest.mark.parametrize("control", [0.0, 1.0])
@pytest.mark.parametrize("weights", ["maclaurin", "subset"])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_maxrl_order(order, weights, control):
    theta = parameters()
    credit = Maxrl(order=order, weights=weights, control=control)
    for question in (HARD, NEVER, ALWAYS):
        wanted = gradient(order_objective(question.expected_reward(theta), min(order, 4)), theta)
        assert close(expected_ascent(theta, [question], [4], credit), wanted)


def test_maxrl_floor_bounds_the_weight():
    """A floor above every mean below one makes the update GRPO's without a scale, over the floor."""
    theta = parameters()
    scaled = expected_ascent(theta, [HARD], [4], Grpo(scale="none")) / 0.8
    assert close(expected_ascent(theta, [HARD], [4], Maxrl(floor=0.8)), scaled)
    assert Maxrl(floor=0.125).surrogate
    assert not Maxrl().surrogate


def test_fractional_maxrl_is_biased():
    theta = parameters()
    question = Question((0.1, 0.9, 0.3, 0.6), slope=0.7, offset=0.5)
    wanted = gradient(question.expected_reward(theta).log(), theta)
    assert not close(expected_ascent(theta, [question], [4], Maxrl()), wanted)


@pytest.mark.parametrize("question", [HARD, EASY, NEVER, ALWAYS, REAL])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_pass_at_k_is_the_gradient_of_the_best_of_k(question, k):
    theta = parameters()
    wanted = gradient(question.expected_best(theta, k), theta)
    assert close(expected_ascent(theta, [question], [4], PassAtK(k)), wanted)


@pytest.mark.parametrize("std", ["sample", "population"])
def test_grpo_group_follows_the_pass_rate_with_a_weight(std):
    """Expected update for binary rewards, from the distribution of the number of successes alone."""
    theta = parameters()
    size, epsilon = 4, 0.01
    p = HARD.expected_reward(theta)
    rate, weight = p.item(), 0.0
    for successes in range(1, size):
        mean = successes / size
        spread = sqrt(mean * (1 - mean) * (size / (size - 1) if std == "sample" else 1)) + epsilon
        chance = comb(size, successes) * rate**successes * (1 - rate) ** (size - successes)
        weight += chance * (mean * (1 - mean) / rate + (1 - mean) * mean / (1 - rate)) / spread
    credit = Grpo(std=std, std_epsilon=epsilon)
    assert credit.surrogate
    assert close(expected_ascent(theta, [HARD], [size], credit), weight * gradient(p, theta))


@pytest.mark.parametrize("std", ["sample", "population"])
def test_grpo_batch_expected_update(std):
    """Against an independent slow enumeration with scores of whole answers."""
    from itertools import product
    from math import prod
    from statistics import pstdev, stdev

    theta = parameters()
    sizes, epsilon = (2, 2), 0.01
    questions = [HARD, EASY]
    owners = [0, 0, 1, 1]
    probs = [q.answer_probs(theta) for q in questions]
    scores = [[gradient(p.log(), theta) for p in q.answer_probs(theta)] for q in questions]
    wanted = torch.zeros_like(theta)
    for answers in product(range(4), repeat=4):
        rewards = [questions[q].rewards[a] for q, a in zip(owners, answers)]
        if len(set(rewards)) == 1:
            continue
        spread = (stdev if std == "sample" else pstdev)(rewards) + epsilon
        means = [(rewards[0] + rewards[1]) / 2] * 2 + [(rewards[2] + rewards[3]) / 2] * 2
        chance = prod(probs[q][a].item() for q, a in zip(owners, answers))
        for q, a, r, m in zip(owners, answers, rewards, means):
            wanted += chance * (r - m) / spread / 4 * scores[q][a]
    credit = Grpo(scale="batch", std=std, std_epsilon=epsilon)
    assert close(expected_ascent(theta, questions, sizes, credit), wanted)


def test_the_reduction_decides():
    """Averaging over tokens before rollouts weighs short answers more: no longer the gradient, not even its
    direction."""
    theta = parameters()
    wanted = gradient(HARD.expected_reward(theta), theta)
    for reduce in (token_mean, sequence_mean):
        update = expected_ascent(theta, [HARD], [3], Rloo(), reduce=reduce)
        cosine = torch.cosine_similarity(update.flatten(), wanted.flatten(), dim=0)
        assert cosine < 0.999


@pytest.mark.parametrize("objective", [PpoClip(), PpoClip(dual_clip=3.0), Cispo()])
def test_on_policy_objectives_are_the_policy_gradient(objective):
    theta = parameters()
    wanted = gradient(HARD.expected_reward(theta), theta)
    assert close(expected_ascent(theta, [HARD], [3], Rloo(), objective=objective), wanted)


def test_on_policy_gspo_is_the_policy_gradient_under_its_reduction():
    theta = parameters()
    plain = expected_ascent(theta, [HARD], [3], Rloo(), reduce=sequence_mean, objective=PolicyGradient())
    assert close(expected_ascent(theta, [HARD], [3], Rloo(), reduce=sequence_mean, objective=Gspo()), plain)


def test_empty_chain_is_the_reward():
    theta = parameters()
    wanted = gradient(HARD.expected_reward(theta), theta)
    assert close(expected_ascent(theta, [HARD], [2], Chain()), wanted)
