"""Triton kernels of decode attention: a group's shared prefix is read once, then each row's own tokens.

A new token attends to two disjoint parts: its group's prefix, and the row's own tokens, itself included. Each
part is cut into splits, so that few rows still fill the machine; a split is a plain attention with its
log-sum-exp; a last kernel merges the splits of a row exactly: out = sum_i 2^(lse_i - lse) out_i.
Sums run in float32, log-sum-exps are to base 2. All lengths are read from device tensors.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from hone.kernels.decode_tiles import LEAST_QUERIES, Tiles

LOG2_E = math.log2(math.e)
MOST_KEYS, KEY_BYTES = 64, 16 * 1024  # of one step of a program: shared memory holds a few steps
PROGRAMS = 512  # enough to fill the largest GPUs several times over
MERGED_PARTS = 16  # parts that one program of the last kernel reads
LONGEST_SPLIT = 1024  # keys; longer ones would leave few programs running at the end


def choose_splits(programs: int, longest: int) -> int:
    """Into how many splits to cut sequences of at most `longest` keys when there are `programs` without."""
    wanted = max(-(-PROGRAMS // programs), -(-longest // LONGEST_SPLIT))
    return max(1, min(wanted, -(-longest // MOST_KEYS)))


@triton.jit
def _attend(
    q: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    start: tl.tensor,
    end: tl.tensor,
    scale: tl.tensor,
    M: tl.constexpr,
    N: tl.constexpr,
    DIM: tl.constexpr,
    D: tl.constexpr,
) -> tl.tensor:
    """Attention of `q[M, D]` to the keys in [start, end): output, and log-sum-exp, -inf for an empty range."""
    d = tl.arange(0, D)
    n = tl.arange(0, N)
    highest = tl.full([M], float("-inf"), tl.float32)
    total = tl.zeros([M], tl.float32)
    out = tl.zeros([M, D], tl.float32)
    for first in range(start, end, N):
        place = first + n
        real = place < end
        at = place[:, None] * DIM + d[None, :]
        mask = real[:, None] & (d < DIM)[None, :]
        key = tl.load(keys + at, mask=mask, other=0.0)
        scores = tl.dot(q, tl.trans(key), input_precision="tf32x3") * scale
        scores = tl.where(real[None, :], scores, float("-inf"))
        raised = tl.maximum(highest, tl.max(scores, 1))
        weights = tl.exp2(scores - raised[:, None])
        kept = tl.exp2(highest - raised)
        total = total * kept + tl.sum(weights, 1)
        value = tl.load(values + at, mask=mask, other=0.0)
        out = out * kept[:, None] + tl.dot(weights.to(value.dtype), value, input_precision="tf32x3")
        highest = raised
    filled = start < end
    total = tl.where(filled, total, 1.0)
    return out / total[:, None], highest + tl.log2(total)


@triton.jit
def _split(length: tl.tensor, index: tl.tensor, count: tl.tensor, N: tl.constexpr) -> tl.tensor:
    """The range of split `index` of `count` of a sequence, whole blocks but for its end."""
    size = tl.cdiv(tl.cdiv(length, count), N) * N
    start = tl.minimum(index * size, length)
    return start, tl.minimum(start + size, length)


@triton.jit
def _prefix_kernel(
    q: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    tile_rows: tl.tensor,
    tile_base: tl.tensor,
    tile_length: tl.tensor,
    out: tl.tensor,
    lse: tl.tensor,
    batch: tl.tensor,
    heads: tl.tensor,
    head_stride: tl.tensor,
    scale: tl.tensor,
    ROWS: tl.constexpr,
    REP: tl.constexpr,
    M: tl.constexpr,
    N: tl.constexpr,
    DIM: tl.constexpr,
    D: tl.constexpr,
) -> None:
    tile, kv, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start, end = _split(tl.load(tile_length + tile), split, tl.num_programs(2), N)
    m, d = tl.arange(0, M), tl.arange(0, D)
    row = tl.load(tile_rows + tile * ROWS + m // REP, mask=m < ROWS * REP, other=-1)
    live = row >= 0
    place = row * heads + kv * REP + m % REP
    mask = live[:, None] & (d < DIM)[None, :]
    queries = tl.load(q + place[:, None] * DIM + d[None, :], mask=mask, other=0.0)
    offset = kv.to(tl.int64) * head_stride + tl.load(tile_base + tile) * DIM
    part, part_lse = _attend(queries, keys + offset, values + offset, start, end, scale, M, N, DIM, D)
    place += split * batch * heads
    written = mask & (part_lse > float("-inf"))[:, None]
    tl.store(out + place[:, None] * DIM + d[None, :], part, mask=written)
    tl.store(lse + place, part_lse, mask=live)


@triton.jit
def _suffix_kernel(
    q: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    slots: tl.tensor,
    used: tl.tensor,
    out: tl.tensor,
    lse: tl.tensor,
    batch: tl.tensor,
    heads: tl.tensor,
    slot_stride: tl.tensor,
    head_stride: tl.tensor,
    scale: tl.tensor,
    REP: tl.constexpr,
    M: tl.constexpr,
    N: tl.constexpr,
    DIM: tl.constexpr,
    D: tl.constexpr,
) -> None:
    row, kv, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    start, end = _split(tl.load(used + row), split, tl.num_programs(2), N)
    m, d = tl.arange(0, M), tl.arange(0, D)
    live = m < REP
    place = row * heads + kv * REP + m
    mask = live[:, None] & (d < DIM)[None, :]
    queries = tl.load(q + place[:, None] * DIM + d[None, :], mask=mask, other=0.0)
    offset = tl.load(slots + row).to(tl.int64) * slot_stride + kv * head_stride
    part, part_lse = _attend(queries, keys + offset, values + offset, start, end, scale, M, N, DIM, D)
    place += split * batch * heads
    written = mask & (part_lse > float("-inf"))[:, None]
    tl.store(out + place[:, None] * DIM + d[None, :], part, mask=written)
    tl.store(lse + place, part_lse, mask=live)


@triton.jit
def _merge_kernel(
    parts: tl.tensor,
    lses: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    stride: tl.tensor,
    P: tl.constexpr,
    R: tl.constexpr,
    DIM: tl.constexpr,
    D: tl.constexpr,
) -> None:
    p, d = tl.arange(0, P), tl.arange(0, D)
    place = tl.program_id(0) * R + tl.arange(0, R)
    real = place < stride
    at = p[:, None] * stride + place[None, :]
    lse = tl.load(lses + at, mask=(p < count)[:, None] & real[None, :], other=float("-inf"))
    highest = tl.where(real, tl.max(lse, 0), 0.0)
    weights = tl.exp2(lse - highest[None, :])
    # A split without keys has written no output.
    mask = (lse > float("-inf"))[:, :, None] & (d < DIM)[None, None, :]
    part = tl.load(parts + at[:, :, None] * DIM + d[None, None, :], mask=mask, other=0.0)
    total = tl.where(real, tl.sum(weights, 0), 1.0)
    merged = tl.sum(part * weights[:, :, None], 0) / total[:, None]
    written = real[:, None] & (d < DIM)[None, :]
    tl.store(out + place[:, None] * DIM + d[None, :], merged.to(out.dtype.element_ty), mask=written)


def decode_attention(
    q: Tensor,
    prefixes: Tensor,
    suffixes: Tensor,
    tiles: Tiles,
    slots: Tensor,
    used: Tensor,
    scale: float,
    longest_prefix: int,
    longest_suffix: int,
) -> Tensor:
    """Attention of one new token per row to its prefix and to the row's own tokens.

    `q[B, H, D]`; `prefixes[2, Hkv, C, D]` keys and values of all stored prefixes; `suffixes[2, S, Hkv, T, D]` those of
    each slot's own tokens, of which row b reads the first `used[b]` (at least 1) of slot `slots[b]`. float32, float16
    or bfloat16. `longest_prefix` and `longest_suffix` are bounds that only decide how work is split.
    Returns `[B, H, D]`.
    """
    batch, heads, dim = q.shape
    num_kv = prefixes.shape[1]
    rep = heads // num_kv
    if not (q.is_contiguous() and prefixes.is_contiguous() and suffixes.is_contiguous()):
        raise ValueError("queries and caches must be contiguous")
    num_tiles, rows = tiles.rows.shape
    prefix_splits = choose_splits(num_tiles * num_kv, longest_prefix)
    suffix_splits = choose_splits(batch * num_kv, longest_suffix)
    count = prefix_splits + suffix_splits
    parts = torch.empty(count, batch, heads, dim, dtype=torch.float32, device=q.device)
    lses = torch.empty(count, batch, heads, dtype=torch.float32, device=q.device)
    out = torch.empty_like(q)
    block = max(LEAST_QUERIES, triton.next_power_of_2(dim))
    queries = max(LEAST_QUERIES, triton.next_power_of_2(rows * rep))
    keys = min(MOST_KEYS, max(LEAST_QUERIES, KEY_BYTES // (block * q.element_size())))
    scale = scale * LOG2_E
    _prefix_kernel[(num_tiles, num_kv, prefix_splits)](
        q, prefixes[0], prefixes[1], tiles.rows, tiles.base, tiles.length, parts, lses,
        batch, heads, prefixes.stride(1), scale,
        ROWS=rows, REP=rep, M=queries, N=keys, DIM=dim, D=block,
        num_warps=8 if queries > 64 else 4, num_stages=2 if q.element_size() == 2 else 1,
    )  # fmt: skip
    _suffix_kernel[(batch, num_kv, suffix_splits)](
        q, suffixes[0], suffixes[1], slots, used, parts[prefix_splits], lses[prefix_splits],
        batch, heads, suffixes.stride(1), suffixes.stride(2), scale,
        REP=rep, M=max(LEAST_QUERIES, triton.next_power_of_2(rep)), N=keys, DIM=dim, D=block,
        num_warps=4, num_stages=2,
    )  # fmt: skip
    padded = triton.next_power_of_2(count)
    merged = max(1, MERGED_PARTS // padded)
    _merge_kernel[(triton.cdiv(batch * heads, merged),)](
        parts, lses, out, count, batch * heads, P=padded, R=merged, DIM=dim, D=block, num_warps=4
    )
    return out
