"""Triton kernels of what lies between a decoder's matrix products: norms, rotations with cache writes, gates.

Each does in one pass over a token's states what would be a dozen small kernels. Values are rounded where the
module itself rounds them, so that sampling and training compute the same numbers.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ACTIVATION_BLOCK = 1024


@triton.jit
def _norm_kernel(
    residual: tl.tensor,
    added: tl.tensor,
    weight: tl.tensor,
    normed: tl.tensor,
    width: tl.tensor,
    eps: tl.tensor,
    ADDS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    at = tl.arange(0, BLOCK)
    real = at < width
    place = tl.program_id(0) * width + at
    x = tl.load(residual + place, mask=real, other=0.0)
    if ADDS:
        x = (x.to(tl.float32) + tl.load(added + place, mask=real, other=0.0).to(tl.float32)).to(x.dtype)
        tl.store(residual + place, x, mask=real)
    wide = x.to(tl.float32)
    scaled = wide * tl.rsqrt(tl.sum(wide * wide, 0) / width + eps)
    out = scaled.to(x.dtype).to(tl.float32) * tl.load(weight + at, mask=real, other=0.0).to(tl.float32)
    tl.store(normed + place, out.to(normed.dtype.element_ty), mask=real)


def add_and_norm(
    residual: Tensor, added: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> Tensor:
    """Add `added[B, W]` into `residual[B, W]` in place, and return the RMS norm of the sum in `dtype`."""
    rows, width = residual.shape
    normed = torch.empty(rows, width, dtype=dtype, device=residual.device)
    block = triton.next_power_of_2(width)
    _norm_kernel[(rows,)](
        residual, added, weight, normed, width, eps,
        ADDS=added is not None, BLOCK=block, num_warps=min(8, max(1, block // 256)),
    )  # fmt: skip
    return normed


@triton.jit
def _rotate_kernel(
    heads: tl.tensor,
    cos: tl.tensor,
    sin: tl.tensor,
    q_weight: tl.tensor,
    k_weight: tl.tensor,
    slots: tl.tensor,
    places: tl.tensor,
    q_out: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    slot_stride: tl.tensor,
    head_stride: tl.tensor,
    eps: tl.tensor,
    REP: tl.constexpr,
    KV: tl.constexpr,
    NORMS: tl.constexpr,
    ROTATES: tl.constexpr,
    H: tl.constexpr,
    DIM: tl.constexpr,
    D: tl.constexpr,
) -> None:
    row, kv = tl.program_id(0), tl.program_id(1)
    h, d = tl.arange(0, H), tl.arange(0, D)
    # The queries of a key-value head, then its key, then its value.
    head = tl.where(h < REP, kv * REP + h, tl.where(h == REP, REP * KV, REP * KV + KV) + kv)
    mask = (h < REP + 2)[:, None] & (d < DIM)[None, :]
    first = (row * (REP + 2) * KV + head) * DIM
    turned = (d + DIM // 2) % DIM
    x = tl.load(heads + first[:, None] + d[None, :], mask=mask, other=0.0)
    raw = x
    swapped = tl.load(heads + first[:, None] + turned[None, :], mask=mask, other=0.0).to(tl.float32)
    wide = x.to(tl.float32)
    if NORMS:
        scale = tl.rsqrt(tl.sum(wide * wide, 1) / DIM + eps)[:, None]
        is_query = (h < REP)[:, None]
        weight = tl.where(
            is_query,
            tl.load(q_weight + d, mask=d < DIM, other=0.0)[None, :].to(tl.float32),
            tl.load(k_weight + d, mask=d < DIM, other=0.0)[None, :].to(tl.float32),
        )
        turned_weight = tl.where(
            is_query,
            tl.load(q_weight + turned, mask=d < DIM, other=0.0)[None, :].to(tl.float32),
            tl.load(k_weight + turned, mask=d < DIM, other=0.0)[None, :].to(tl.float32),
        )
        wide = (wide * scale).to(x.dtype).to(tl.float32) * weight
        swapped = (swapped * scale).to(x.dtype).to(tl.float32) * turned_weight
    if ROTATES:
        angle = row * DIM + d
        cosine = tl.load(cos + angle, mask=d < DIM, other=0.0).to(tl.float32)
        sine = tl.load(sin + angle, mask=d < DIM, other=0.0).to(tl.float32)
        wide = wide * cosine[None, :] + swapped * sine[None, :]
    out = wide.to(x.dtype)
    q_place = (row * REP * KV + kv * REP + h)[:, None] * DIM + d[None, :]
    tl.store(q_out + q_place, out, mask=mask & (h < REP)[:, None])
    place = tl.load(slots + row).to(tl.int64) * slot_stride + kv * head_stride + tl.load(places + row) * DIM
    cached = place + tl.zeros([H], tl.int64)[:, None] + d[None, :]
    tl.store(keys + cached, out, mask=mask & (h == REP)[:, None])
    tl.store(values + cached, raw, mask=mask & (h == REP + 1)[:, None])


def rotate_and_store(
    heads: Tensor,
    cos: Tensor,
    sin: Tensor,
    norms: tuple[Tensor, Tensor, float] | None,
    rotates: bool,
    cache: Tensor,
    slots: Tensor,
    places: Tensor,
) -> Tensor:
    """Norm and rotate the queries and keys of one layer, store keys and values, return the queries `[B, H, D]`.

    `heads[B, H + 2 Hkv, D]` are queries, keys and values; `cos`, `sin[B, D]` of each row's position, the first half of
    `sin` negated; `norms` the weights `[D]` of query and key norm and their epsilon. Row b's key and value go to
    place `places[b]` of slot `slots[b]` of `cache[2, S, Hkv, T, D]`.
    """
    batch, dim = len(heads), heads.shape[2]
    num_kv = cache.shape[2]
    rep = heads.shape[1] // num_kv - 2
    q = torch.empty(batch, rep * num_kv, dim, dtype=heads.dtype, device=heads.device)
    q_weight, k_weight, eps = norms if norms is not None else (None, None, 0.0)
    _rotate_kernel[(batch, num_kv)](
        heads, cos, sin, q_weight, k_weight, slots, places, q, cache[0], cache[1],
        cache.stride(1), cache.stride(2), eps,
        REP=rep, KV=num_kv, NORMS=norms is not None, ROTATES=rotates,
        H=triton.next_power_of_2(rep + 2), DIM=dim, D=triton.next_power_of_2(dim), num_warps=1,
    )  # fmt: skip
    return q


@triton.jit
def _gate_kernel(gate_up: tl.tensor, out: tl.tensor, width: tl.tensor, BLOCK: tl.constexpr) -> None:
    row = tl.program_id(0)
    at = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    real = at < width
    gate = tl.load(gate_up + row * 2 * width + at, mask=real, other=0.0)
    up = tl.load(gate_up + row * 2 * width + width + at, mask=real, other=0.0).to(tl.float32)
    wide = gate.to(tl.float32)
    opened = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype).to(tl.float32)
    tl.store(out + row * width + at, (opened * up).to(gate.dtype), mask=real)


def silu_gate(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of `gate_up[B, 2 F]`; returns `[B, F]`."""
    rows, width = len(gate_up), gate_up.shape[1] // 2
    out = torch.empty(rows, width, dtype=gate_up.dtype, device=gate_up.device)
    _gate_kernel[(rows, triton.cdiv(width, ACTIVATION_BLOCK))](
        gate_up, out, width, BLOCK=ACTIVATION_BLOCK, num_warps=4
    )
    return out
