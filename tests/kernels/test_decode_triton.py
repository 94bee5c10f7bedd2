"""The Triton decode attention, run by Triton's interpreter, against a plain float64 attention of every row alone."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

import numpy as np

from hone.kernels import decode_triton
from hone.kernels.decode_tiles import Tiles, group_rows, rows_per_tile
from hone.kernels.decode_triton import choose_splits, decode_attention

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"


@pytest.fixture(autouse=True)
def _few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes milliseconds a program; splits have a test of their own."""
    monkeypatch.setattr(decode_triton, "PROGRAMS", 1)


def make_tiles(groups: list[list[int]], base: list[int], lengths: list[int], width: int) -> Tiles:
    """Tiles of groups of batch rows, and two empty ones behind them."""
    group_of = {row: i for i, group in enumerate(groups) for row in group}
    table, examples = group_rows([group_of[row] for row in sorted(group_of)], width)
    table = np.concatenate([table, np.full((2, width), -1, np.int32)])
    found = [[values[group_of[row]] for row in examples] + [0, 0] for values in (base, lengths)]
    return Tiles(*(torch.from_numpy(np.asarray(x)).to(DEVICE) for x in (table, *found)))


def reference(q, prefix, own, scale):
    """Plain attention of one row: `q[H, D]` to the keys of its prefix and its own, `[2, Hkv, L, D]` each."""
    keys, values = torch.cat([prefix, own], 2).double().repeat_interleave(q.shape[0] // prefix.shape[1], 1)
    weights = (torch.einsum("hd,hld->hl", q.double(), keys) * scale).softmax(-1)
    return torch.einsum("hl,hld->hd", weights, values)


def case(rep: int, dim: int, sizes: list[int], idle: int, dtype: torch.dtype, seed: int = 0) -> None:
    """Compare every row of groups of `sizes` rows, with `idle` rows that follow no prefix."""
    rng = np.random.default_rng(seed)
    num_kv, batch = 2, sum(sizes) + idle
    lengths = [int(rng.integers(1, 200)) for _ in sizes]
    if len(sizes) > 1:
        lengths[-1] = 0  # a group without a prefix
    used = rng.integers(1, 150, batch)
    used[rng.integers(batch)] = 1
    order, slots = rng.permutation(batch), rng.permutation(batch + 3)[:batch]
    starts = np.cumsum([0, *sizes])
    groups = [order[a:b].tolist() for a, b in pairwise(starts)] + [order[starts[-1] :].tolist()]
    base = np.cumsum([5, *lengths]).tolist()
    torch.manual_seed(seed)
    q = torch.randn(batch, num_kv * rep, dim, dtype=dtype, device=DEVICE)
    prefixes = torch.randn(2, num_kv, sum(lengths) + 9, dim, dtype=dtype, device=DEVICE)
    suffixes = torch.randn(2, batch + 3, num_kv, 160, dim, dtype=dtype, device=DEVICE)
    groups = [group for group in groups if group]
    tiles = make_tiles(groups, base, [*lengths, 0], rows_per_tile(max(sizes), rep, dim * q.element_size()))
    scale = dim**-0.5
    device_tables = torch.from_numpy(slots).to(DEVICE), torch.from_numpy(used).to(DEVICE)
    got = decode_attention(q, prefixes, suffixes, tiles, *device_tables, scale, 256, 256)
    assert got.dtype == dtype
    for group, first, length in zip(groups, base, [*lengths, 0]):
        for row in group:
            prefix = prefixes[:, :, first : first + length]
            own = suffixes[:, slots[row], :, : used[row]]
            want = reference(q[row], prefix, own, scale)
            limit = 1e-5 if dtype == torch.float32 else 5e-3
            torch.testing.assert_close(got[row].double(), want, atol=limit, rtol=limit)


@pytest.mark.parametrize("rep", [1, 2, 4, 7])
@pytest.mark.parametrize("dim", [32, 64, 128])
def test_every_row_attends_to_its_prefix_and_its_own_tokens(rep: int, dim: int) -> None:
    case(rep, dim, [3, 1, 2], 1, torch.float32)


@pytest.mark.parametrize("size", [1, 5, 16, 33])
def test_groups_of_any_size_share_a_prefix(size: int) -> None:
    case(2, 64, [size, 3], 0, torch.float32, seed=size)


def test_head_sizes_that_are_no_power_of_two_and_half_precision() -> None:
    case(3, 24, [4, 2], 1, torch.float32)
    case(2, 80, [3], 0, torch.float16)


@pytest.mark.parametrize("programs", [30, 4096])
def test_splits_change_nothing_but_rounding(programs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_triton, "PROGRAMS", programs)
    case(2, 32, [3, 2], 1, torch.float32, seed=4)


def test_changed_tables_are_read_from_the_device_at_every_call() -> None:
    torch.manual_seed(0)
    q = torch.randn(2, 2, 32, device=DEVICE)
    prefixes = torch.randn(2, 1, 90, 32, device=DEVICE)
    suffixes = torch.randn(2, 3, 1, 80, 32, device=DEVICE)
    tiles = make_tiles([[0, 1]], [0], [10], 8)
    slots, used = torch.tensor([0, 1], device=DEVICE), torch.tensor([3, 70], device=DEVICE)

    def check() -> None:
        got = decode_attention(q, prefixes, suffixes, tiles, slots, used, 0.2, 256, 256)
        base, length = int(tiles.base[0]), int(tiles.length[0])
        for row in range(2):
            own = suffixes[:, int(slots[row]), :, : int(used[row])]
            want = reference(q[row], prefixes[:, :, base : base + length], own, 0.2)
            torch.testing.assert_close(got[row].double(), want, atol=1e-5, rtol=1e-5)

    check()
    tiles.base[0], tiles.length[0] = 7, 80
    slots.copy_(torch.tensor([2, 0]))
    used.copy_(torch.tensor([66, 2]))
    check()


def test_few_rows_and_long_texts_are_split_and_many_rows_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_triton, "PROGRAMS", 512)
    assert choose_splits(2048, 512) == 1
    assert choose_splits(8, 512) == 8
    assert choose_splits(2048, 8192) == 8
    assert choose_splits(8, 1) == 1
