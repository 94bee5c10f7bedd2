"""MaxRL over every tuple of actions of a softmax policy: each estimator's order (3.6 T1), every order from 1 to N under
both weights (T2), and how its weight compares with that of RLOO and GRPO (T3)."""

from __future__ import annotations

from itertools import product
from math import comb, sqrt

import pytest
import torch
from scipy.stats import binom

from hone.credit import Grpo, Maxrl, Reinforce, Rloo

LOGITS = (0.2, -0.7, 0.5, -0.1)
RIGHT = (1, 3)  # two of four actions succeed
SIZES = [2, 3, 4, 5, 6]


def policy(right=RIGHT):
    """Probabilities of the actions, the pass rate and its gradient with respect to the logits."""
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    probs = torch.softmax(logits, 0)
    rate = probs[list(right)].sum()
    (gradient,) = torch.autograd.grad(rate, logits)
    return probs.detach(), rate.item(), gradient


def weight(order, rate):
    """w_T(p) = Σ_{k=1..T} (1-p)^(k-1), term by term."""
    return sum((1 - rate) ** k for k in range(order))


def expected(credit, size, right=RIGHT):
    """Expectation of (1/N) Σ A_i (e_{a_i} − π) over all tuples, each of them a group of one call of `credit`."""
    probs, _, _ = policy(right)
    tuples = torch.tensor(list(product(range(len(LOGITS)), repeat=size)))
    rewards = torch.isin(tuples, torch.tensor(right)).double()
    groups = torch.arange(len(tuples)).repeat_interleave(size)
    given = credit(rewards.flatten(), groups).reshape(-1, size)
    scores = torch.nn.functional.one_hot(tuples, len(LOGITS)) - probs
    chance = probs[tuples].prod(1)
    return (chance[:, None, None] * given[..., None] * scores).sum((0, 1)) / size


def one_at_a_time(advantages):
    """A credit piece from a function of one group's rewards, group after group."""

    def credit(values, groups):
        rows = [advantages(values[groups == g].tolist()) for g in groups.unique()]
        return torch.tensor(rows, dtype=values.dtype).flatten()

    return credit


def plain(rewards):
    """(a): Σ r_i S_i / K, times N because `expected` averages over the group."""
    return [len(rewards) * r / sum(rewards) if sum(rewards) else 0.0 for r in rewards]


def with_control(rewards):
    """(b): less the mean score of every group, also of one without success."""
    return [a - 1 for a in plain(rewards)]


def used(rewards):
    """(c): the published form; nothing at all where nothing succeeded."""
    mean = sum(rewards) / len(rewards)
    return [(r - mean) / mean if mean else 0.0 for r in rewards]


@pytest.mark.parametrize("size", [2, 3, 4])
def test_each_estimator_and_its_order(size):
    _, rate, gradient = policy()
    for estimator, order, same in (
        (plain, size, Maxrl(order=size, weights="subset")),
        (with_control, size, Maxrl(order=size, weights="subset", control=1.0)),
        (used, size - 1, Maxrl()),
    ):
        slow = expected(one_at_a_time(estimator), size)
        assert torch.allclose(slow, weight(order, rate) * gradient, atol=1e-12), estimator
        assert torch.allclose(expected(same, size), slow, atol=1e-12), estimator


@pytest.mark.parametrize("size", SIZES)
def test_published_form_and_rloo(size):
    _, rate, gradient = policy()
    assert torch.allclose(expected(Maxrl(), size), weight(size - 1, rate) * gradient, atol=1e-10)
    assert torch.allclose(expected(Rloo(), size), gradient, atol=1e-10)


@pytest.mark.parametrize("weights", ["maclaurin", "subset"])
@pytest.mark.parametrize(("size", "order"), [(n, t) for n in SIZES for t in range(1, n + 1)])
def test_every_order(size, order, weights):
    _, rate, gradient = policy()
    for control in (0.0, 0.7):
        found = expected(Maxrl(order=order, weights=weights, control=control), size)
        assert torch.allclose(found, weight(order, rate) * gradient, atol=1e-10)


@pytest.mark.parametrize("size", SIZES)
def test_weights_by_binomials(size):
    """The closed forms of the piece beside sums of binomials, for every number of successes."""
    for order, hits in product(range(1, size + 1), range(size + 1)):
        misses = size - hits
        rewards = torch.tensor([1.0] * hits + [0.0] * misses, dtype=torch.float64)
        groups = torch.zeros(size, dtype=torch.long)
        below = sum(comb(misses - 1, k - 1) / comb(size - 1, k - 1) for k in range(2, min(order, misses) + 1))
        wanted = [1.0] * hits + [-below] * misses
        assert Maxrl(order=order)(rewards, groups).tolist() == pytest.approx(wanted)
        # A subset of T actions with k successes gives each of them 1/k.
        ways = sum(
            comb(hits - 1, k - 1) * comb(misses, order - k) / k for k in range(1, min(order, hits) + 1)
        )
        wanted = [size * ways / comb(size, order)] * hits + [0.0] * misses
        assert Maxrl(order=order, weights="subset")(rewards, groups).tolist() == pytest.approx(wanted)


def expected_weight(credit, size, rate):
    """w with which the expected update is w grad p, from the distribution of the number of successes.

    The mean score of a success is grad p / p and that of a failure −grad p / (1 − p).
    """
    hits = torch.arange(size + 1)[:, None]
    rewards = (torch.arange(size) < hits).double()
    given = credit(rewards.flatten(), hits.repeat(1, size).flatten()).reshape(rewards.shape)
    per_group = (given * (rewards / rate - (1 - rewards) / (1 - rate))).mean(1)
    return float(binom.pmf(hits[:, 0], size, rate) @ per_group.numpy())


@pytest.mark.parametrize("size", [2, 4, 16, 64])
def test_rare_problems_weigh_up_to_the_group(size):
    """p → 0: MaxRL over RLOO is N − 1 for the published form, N for the plain one."""
    rloo = expected_weight(Rloo(), size, 1e-6)
    assert rloo == pytest.approx(1)
    assert expected_weight(Maxrl(), size, 1e-6) / rloo == pytest.approx(size - 1, rel=1e-4)
    plain_form = Maxrl(order=size, weights="subset")
    assert expected_weight(plain_form, size, 1e-6) / rloo == pytest.approx(size, rel=1e-4)
    for rate in (1e-3, 0.1, 0.5, 0.9):
        assert expected_weight(Maxrl(), size, rate) == pytest.approx(weight(size - 1, rate))


def test_grpo_weighs_by_the_square_root_only_where_groups_are_large():
    population = Grpo(std="population", std_epsilon=0.0)
    for rate in (0.1, 0.9):
        assert expected_weight(population, 512, rate) == pytest.approx(1 / sqrt(rate * (1 - rate)), rel=0.02)
    # A group too small to hold a second success has one spread: its weight is flat, at most sqrt(N - 1) from below.
    flat = [expected_weight(population, 4, rate) for rate in (1e-6, 1e-4)]
    assert flat == pytest.approx([sqrt(3), sqrt(3)], rel=1e-3)


def test_problems_that_are_nearly_solved():
    """p = 0.9: MaxRL's weight falls to 1/p, GRPO's rises again."""
    assert expected_weight(Maxrl(), 64, 0.9) == pytest.approx(1 / 0.9)
    assert expected_weight(Grpo(std="population", std_epsilon=0.0), 512, 0.9) == pytest.approx(3.33, rel=0.02)


def test_order_and_scale_of_a_group_do_not_matter():
    generator = torch.Generator().manual_seed(0)
    values, groups = torch.rand(12, generator=generator).double(), torch.arange(3).repeat_interleave(4)
    assert torch.allclose(Maxrl()(values / 3, groups), Maxrl()(values, groups))
    order = torch.randperm(12, generator=generator)
    for credit in (Maxrl(), Maxrl(order=3), Maxrl(order=3, weights="subset")):
        hits = (values > 0.5).double()
        assert torch.allclose(credit(hits[order], groups[order]), credit(hits, groups)[order])
    assert not torch.allclose(Reinforce()(values / 3, groups), Reinforce()(values, groups))
