"""Plans for prefixes: every row meets its own, and groups of unlike size are not padded to one another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hone.engines.attention import PrefixBlock, plan_prefixes, prefix_attention

HEADS, REP, DIM, LENGTH = 2, 2, 4, 5
CPU = torch.device("cpu")


def block(prefixes: int, padded: bool = False) -> PrefixBlock:
    bias = None
    if padded:
        bias = torch.zeros(prefixes, 1, 1, LENGTH)
        bias[:, :, :, -1] = -torch.inf
    return PrefixBlock(
        torch.randn(1, 2, prefixes, HEADS, LENGTH, DIM),
        bias,
        torch.zeros(prefixes, 3),
        np.full(prefixes, LENGTH),
    )


def rows_of(*sizes: int, of: PrefixBlock) -> list[tuple[PrefixBlock, int]]:
    return [(of, group) for group, size in enumerate(sizes) for _ in range(size)]


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("sizes", [(4, 4, 4), (1, 8, 0, 8, 2, 1), (0, 0, 3), (1,), (9, 1, 1, 1, 1, 1, 1)])
def test_every_row_attends_to_its_own_prefix(sizes: tuple[int, ...], padded: bool, shuffled: bool) -> None:
    torch.manual_seed(0)
    first, second = block(len(sizes), padded), block(2)
    found = rows_of(*sizes, of=first)
    if shuffled:
        found += rows_of(2, 1, of=second)
        found = [found[i] for i in torch.randperm(len(found)).tolist()]
    q = torch.randn(len(found), HEADS, REP, DIM)
    out, lse = prefix_attention(q, 0, plan_prefixes(found, CPU))
    out, lse = out.reshape(q.shape), lse.reshape(q.shape[:-1])
    for row, (of, index) in enumerate(found):
        keys, values = of.keys_values[0, :, index]
        scores = q[row] @ keys.transpose(-1, -2)
        if of.bias is not None:
            scores = scores + of.bias[index]
        torch.testing.assert_close(out[row], scores.softmax(-1) @ values)
        torch.testing.assert_close(lse[row], scores.logsumexp(-1))


def cells(*sizes: int) -> int:
    return sum(len(part.grid) for part in plan_prefixes(rows_of(*sizes, of=block(len(sizes))), CPU).parts)


def test_equal_groups_are_one_grid_without_padding_read_where_it_lies() -> None:
    of = block(3)
    plan = plan_prefixes(rows_of(4, 4, 4, of=of), CPU)
    assert plan.places is None
    (part,) = plan.parts
    assert part.keys_values[0][0].data_ptr() == of.keys_values.data_ptr()
    assert cells(64, 60, 50) == 3 * 64  # setting the last apart would save less than it is worth


def test_what_is_left_of_groups_that_end_is_not_padded_to_whole_ones() -> None:
    fading = (64, 64, 64, 60, 50, 40, 33, 25, 20, 15, 12, 9, 7, 5, 4, 3, 2, 2, 1, 1, 1)
    assert len(fading) * 64 > 2.5 * sum(fading)  # as one grid
    assert cells(*fading) < 1.5 * sum(fading)
    assert cells(64, *([1] * 20)) == 64 + 20
    assert cells(*([1] * 20), 64, *([0] * 5)) == 64 + 20
