"""What a group that was stopped early amounts to: its end states, their probabilities, and the slope of its update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import comb

import torch
from torch import Tensor


def ends(round: int, most: int) -> Iterator[tuple[int, int, int]]:
    """(successes, failures, orders of them) of every way a group of rounds can end."""
    for size in range(round, most + 1, round):
        same = size - round
        for few in range(round + 1):
            many = same + round - few
            if size < most and few == 0:
                continue  # goes on
            if size == round:
                if 0 < few < round:
                    yield few, many, comb(round, few)
            else:
                yield few, many, comb(round, few)
                yield many, few, comb(round, few)


Credit = Callable[[Tensor, Tensor], Tensor]


def sums(credit: Credit, successes: int, failures: int) -> tuple[float, float, float]:
    """What a group's credit, averaged over it, gives to its successes, to its failures, and the sum of squares."""
    values = torch.tensor([1.0] * successes + [0.0] * failures, dtype=torch.float64)
    weights = credit(values, torch.zeros_like(values, dtype=torch.long)) / len(values)
    return float(weights[:successes].sum()), float(weights[successes:].sum()), float((weights**2).sum())


def slope(credit: Credit, round: int, most: int, p: float) -> float:
    """D(p): the expected update of a stopped group is D(p) grad p, for credit averaged over the group."""
    return _slope(credit, ends(round, most), p)


def fixed_slope(credit: Credit, size: int, p: float) -> float:
    """D(p) of groups of one size."""
    return _slope(credit, ((k, size - k, comb(size, k)) for k in range(size + 1)), p)


def _slope(credit: Credit, groups: Iterable[tuple[int, int, int]], p: float) -> float:
    total = 0.0
    for successes, failures, orders in groups:
        up, down, _ = sums(credit, successes, failures)
        total += orders * p**successes * (1 - p) ** failures * (up / p - down / (1 - p))
    return total


def moments(credit: Credit, round: int, most: int, p: float) -> tuple[float, float]:
    """Expected rollouts, and expected sum of squared weights: the variance, for scores of mean square 1."""
    size = squares = 0.0
    for successes, failures, orders in ends(round, most):
        chance = orders * p**successes * (1 - p) ** failures
        size += chance * (successes + failures)
        squares += chance * sums(credit, successes, failures)[2]
    return size, squares
