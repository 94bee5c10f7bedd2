"""A table gives what the piece gives; its expected update is the gradient of the objective; couplers are refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hone import credit
from hone.core.errors import RecipeError
from hone.lab.credit_table import tabulate
from hone.lab.stopping import expected_size, first_success_table, outcomes, weight

PIECES = [
    credit.Rloo(),
    credit.Grpo(),
    credit.Grpo(scale="none"),
    credit.Maxrl(),
    credit.Maxrl(order=3),
    credit.PassAtK(k=2),
]


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_a_table_is_the_piece(piece):
    table = tabulate(piece, 8)
    rng = np.random.default_rng(0)
    for n in (4, 7, 8):
        values = torch.tensor(rng.integers(0, 2, size=6 * n), dtype=torch.float64)
        groups = torch.arange(6).repeat_interleave(n)
        expected = piece(values, groups).reshape(6, n)
        for row, rewards in zip(expected, values.reshape(6, n)):
            k = int(rewards.sum())
            found = [table[n, k, 0 if r else 1] for r in rewards]
            np.testing.assert_allclose(found, row, atol=1e-12)
    assert np.isnan(table[1]).all()


def expected_update(table, n, phi, theta):
    """E[mean_i A_i score_i] over every group of n, one by one; answer 0 is right."""
    logits = phi @ theta
    p = np.exp(logits - logits.max())
    p /= p.sum()
    total = np.zeros_like(theta)
    for actions in itertools.product(range(len(p)), repeat=n):
        k = actions.count(0)
        chance = np.prod(p[list(actions)])
        for a in actions:
            total += chance * table[n, k, 0 if a == 0 else 1] * (phi[a] - p @ phi) / n
    return total


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("piece", ["rloo", "maxrl"])
def test_the_expected_update_is_the_gradient(piece, n):
    """By autograd of p, and of MaxRL's objective of order n - 1."""
    rng = np.random.default_rng(2)
    phi, theta = rng.standard_normal((4, 3)), rng.standard_normal(3)
    weights = torch.tensor(theta, requires_grad=True)
    p = torch.softmax(torch.tensor(phi) @ weights, 0)[0]
    order = 1 if piece == "rloo" else n - 1
    objective = p if piece == "rloo" else -sum((1 - p) ** k / k for k in range(1, order + 1))
    objective.backward()
    table = tabulate(credit.Rloo() if piece == "rloo" else credit.Maxrl(), n)
    np.testing.assert_allclose(expected_update(table, n, phi, theta), weights.grad.numpy(), rtol=1e-10)


def test_ending_at_the_first_success_is_unbiased_for_maxrl():
    """Enumerated rollout by rollout: the gradient of order 4 from groups of at most 4."""
    rng = np.random.default_rng(3)
    phi, theta = rng.standard_normal((3, 2)), rng.standard_normal(2)
    weights = torch.tensor(theta, requires_grad=True)
    p = torch.softmax(torch.tensor(phi) @ weights, 0)
    (-sum((1 - p[0]) ** k / k for k in range(1, 5))).backward()
    table, q = first_success_table(4), p.detach().numpy()
    total = np.zeros(2)
    for n in range(1, 5):
        for failures in itertools.product((1, 2), repeat=n - 1):
            for last in (0,) if n < 4 else (0, 1, 2):
                actions = [*failures, last]
                k = actions.count(0)
                for a in actions:
                    total += np.prod(q[actions]) * table[n, k, 0 if a == 0 else 1] * (phi[a] - q @ phi) / n
    np.testing.assert_allclose(total, weights.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("rule", ["fixed", "first_success", "signal"])
def test_ways_to_end_are_all_ways(rule):
    for p in (0.05, 0.5, 0.9):
        assert sum(chance for _, _, chance in outcomes(rule, 6, p)) == pytest.approx(1)
    rng = np.random.default_rng(0)
    sizes = []
    for _ in range(4000):
        right = n = 0
        while n < 6 and not (rule == "first_success" and right) and not (rule == "signal" and 0 < right < n):
            n, right = n + 1, right + (rng.random() < 0.3)
        sizes.append(n)
    assert expected_size(rule, 6, 0.3) == pytest.approx(np.mean(sizes), abs=0.1)


def test_the_weight_of_an_update_says_what_is_biased():
    for p in (0.02, 0.3, 0.9):
        rloo, maxrl = tabulate(credit.Rloo(), 8), tabulate(credit.Maxrl(), 8)
        assert weight(rloo, "fixed", 8, p) == pytest.approx(1)
        assert weight(maxrl, "fixed", 8, p) == pytest.approx((1 - (1 - p) ** 7) / p)
        assert weight(first_success_table(8), "first_success", 8, p) == pytest.approx((1 - (1 - p) ** 8) / p)
        assert weight(rloo, "signal", 8, p) > 1.05
    with pytest.raises(RecipeError, match="rule"):
        weight(rloo, "bored", 8, 0.3)


def shuffled(values, groups):
    """A piece that looks at places."""
    return values * torch.arange(len(values))


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (credit.Grpo(scale="batch"), "lets one group change"),
        (credit.Reinforce(), "lets one group change"),
        (shuffled, "order of rollouts|different advantages"),
        (lambda values, groups: values / 0, "finite number"),
        (lambda values, groups: values[:1], "finite number"),
    ],
)
def test_pieces_that_are_no_table_are_refused(piece, words):
    with pytest.raises(RecipeError, match=words):
        tabulate(piece, 4, (4,))


def test_sizes_outside_the_table_are_refused():
    with pytest.raises(RecipeError, match="group of 9"):
        tabulate(credit.Rloo(), 8, (9,))
    with pytest.raises(RecipeError, match="group of 2"):
        tabulate(credit.Maxrl(order=3), 8, (2,))
