"""Reductions: against plain loops, however the update is split or ordered, with rollouts left out."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch

from hone.core.counting import count
from hone.core.errors import RecipeError
from hone.objectives import bind
from hone.objectives.reductions import problem_mean, sequence_mean

NAMES = ["token_mean", "sequence_mean", "sequence_sum", "problem_mean", "problem_sum", "problem_token_mean"]
LENGTHS = torch.tensor([3, 1, 4, 2, 5, 2])
GROUPS = torch.tensor([8, 3, 8, 3, 8, 6])
KEPT = torch.tensor([True, True, False, True, True, False])  # problem 6 has no rollout left
ROLLOUT_OF = torch.repeat_interleave(torch.arange(6), LENGTHS)
TERMS = torch.randn(17, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
FACTOR = 10


def slowly(name, kept):
    """The loss by plain loops over problems, rollouts and tokens."""
    rows = [row.tolist() for row, keep in zip(TERMS.split(LENGTHS.tolist()), kept) if keep]
    owners = [g for g, keep in zip(GROUPS.tolist(), kept) if keep]
    problems = [[row for row, g in zip(rows, owners) if g == wanted] for wanted in set(owners)]
    if name == "token_mean":
        return fmean([x for row in rows for x in row])
    if name == "sequence_mean":
        return fmean([fmean(row) for row in rows])
    if name == "sequence_sum":
        return fmean([sum(row) / FACTOR for row in rows])
    if name == "problem_mean":
        return fmean([fmean([fmean(row) for row in problem]) for problem in problems])
    if name == "problem_sum":
        return fmean([fmean([sum(row) / FACTOR for row in problem]) for problem in problems])
    return fmean([fmean([x for row in problem for x in row]) for problem in problems])


def loss(name, chosen, counts):
    """The part of the loss that the chosen rollouts contribute, from their own small arrays."""
    lengths, groups, kept = LENGTHS[chosen], GROUPS[chosen], KEPT[chosen]
    rollout_of = torch.repeat_interleave(torch.arange(len(chosen)), lengths)
    rows = TERMS.split(LENGTHS.tolist())
    weights = bind(name, length=FACTOR)(rollout_of, lengths, groups, kept, counts)
    assert weights.dtype == torch.float64
    return (weights * torch.cat([rows[i] for i in chosen])).sum().item()


@pytest.mark.parametrize("name", NAMES)
def test_against_plain_loops(name):
    everything = torch.ones(6, dtype=torch.bool)
    for kept in (KEPT, everything):
        counts = count(LENGTHS, GROUPS, kept)
        weights = bind(name, length=FACTOR)(ROLLOUT_OF, LENGTHS, GROUPS, kept, counts)
        assert (weights * TERMS).sum().item() == pytest.approx(slowly(name, kept.tolist()), abs=1e-12)
        assert (weights[~kept[ROLLOUT_OF]] == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_any_split_and_order_gives_the_same_loss(name):
    counts = count(LENGTHS, GROUPS, KEPT)
    whole = loss(name, [0, 1, 2, 3, 4, 5], counts)
    for split in ([[0], [1], [2], [3], [4], [5]], [[4, 1], [5, 0, 3], [2]], [[3, 5, 0, 2, 1, 4]]):
        assert sum(loss(name, part, counts) for part in split) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_kept_weighs_nothing(name):
    nothing = torch.zeros(6, dtype=torch.bool)
    weights = bind(name, length=FACTOR)(ROLLOUT_OF, LENGTHS, GROUPS, nothing, count(LENGTHS, GROUPS, nothing))
    assert (weights == 0).all()


def test_equal_groups_make_problem_mean_sequence_mean():
    groups = torch.tensor([1, 2, 1, 2, 1, 2])
    kept = torch.ones(6, dtype=torch.bool)
    counts = count(LENGTHS, groups, kept)
    arguments = (ROLLOUT_OF, LENGTHS, groups, kept, counts)
    torch.testing.assert_close(problem_mean(*arguments), sequence_mean(*arguments))


def test_unknown_names_are_refused():
    with pytest.raises(RecipeError, match="Did you mean `token_mean`"):
        bind("token_means", length=1)
    with pytest.raises(RecipeError, match="`length`"):
        bind("sequence_sum", length=0)
