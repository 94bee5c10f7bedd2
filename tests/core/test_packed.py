"""Segment operations against plain Python, over unsorted ids, and the counting of denominators."""

from __future__ import annotations

import statistics

import torch

from hone.core.counting import count
from hone.core.packed import (
    broadcast,
    compact,
    segment_constant,
    segment_max,
    segment_mean,
    segment_min,
    segment_std,
    segment_sum,
)

IDS = [9, -2, 9, 4, -2, 9]
VALUES = [1.0, 2.0, 4.0, 0.5, 3.0, -1.0]


def by_id():
    return [[v for i, v in zip(IDS, VALUES) if i == wanted] for wanted in sorted(set(IDS))]


def test_segments_against_plain_python():
    index, segments = compact(torch.tensor(IDS))
    values = torch.tensor(VALUES, dtype=torch.float64)
    assert segments == 3
    cases = {segment_sum: sum, segment_mean: statistics.fmean, segment_min: min, segment_max: max}
    for operation, plain in cases.items():
        out = operation(values, index, segments)
        assert out.dtype == torch.float64
        assert out.tolist() == [plain(group) for group in by_id()]
    population = segment_std(values, index, segments, sample=False)
    torch.testing.assert_close(population.tolist(), [statistics.pstdev(group) for group in by_id()])
    sample = segment_std(values, index, segments, sample=True)
    torch.testing.assert_close(sample.tolist(), [statistics.stdev(g) if len(g) > 1 else 0.0 for g in by_id()])


def test_constant_is_found_by_comparison():
    values = torch.tensor([0.1, 0.1, 0.1, 0.1, 0.1000001], dtype=torch.float64)
    index, segments = compact(torch.tensor([0, 0, 0, 1, 1]))
    assert segment_constant(values, index, segments).tolist() == [True, False]


def test_broadcast_gives_tokens_their_units_value_and_sums_gradients_back():
    values = torch.tensor([1.0, 2.0], requires_grad=True)
    out = broadcast(values, torch.tensor([1, 0, 1]))
    assert out.tolist() == [2.0, 1.0, 2.0]
    out.sum().backward()
    assert values.grad.tolist() == [1.0, 2.0]


def test_count_leaves_out_what_is_not_kept():
    lengths = torch.tensor([3, 5, 2, 7])
    groups = torch.tensor([8, 1, 8, 6])
    counts = count(lengths, groups, torch.tensor([True, True, True, False]))
    assert (counts.tokens, counts.rollouts, counts.problems) == (10, 3, 2)
    assert counts.ids.tolist() == [1, 8]
    assert counts.tokens_of.tolist() == [5, 5]
    assert counts.rollouts_of.tolist() == [1, 2]
    nothing = count(lengths, groups, torch.zeros(4, dtype=torch.bool))
    assert (nothing.tokens, nothing.rollouts, nothing.problems) == (0, 0, 0)
