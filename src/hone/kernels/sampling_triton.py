"""Triton kernels that draw tokens by inverse CDF: one pass over the logits, then one over the chunk that is hit.

The first kernel leaves the largest logit and the sum of exponentials of every chunk. The second one adds the sums
up, finds the chunk in which the cumulative distribution passes the uniform, and the token inside of it.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

CHUNK = 4096  # tokens of the vocabulary that one program reads


@triton.jit
def _scaled(
    logits: tl.tensor,
    temperature: tl.tensor,
    row: tl.tensor,
    at: tl.tensor,
    size: tl.tensor,
    WIDE: tl.constexpr,
) -> tl.tensor:
    """Logits of one chunk over the temperature of their row; -inf past the vocabulary."""
    x = tl.load(logits + row * size + at, mask=at < size, other=float("-inf"))
    kind = tl.float64 if WIDE else tl.float32
    return x.to(kind) / tl.load(temperature + row).to(kind)


@triton.jit
def _chunk_kernel(
    logits: tl.tensor,
    temperature: tl.tensor,
    highs: tl.tensor,
    sums: tl.tensor,
    tops: tl.tensor,
    size: tl.tensor,
    BLOCK: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    row, chunk = tl.program_id(0), tl.program_id(1)
    at = chunk * BLOCK + tl.arange(0, BLOCK)
    x = _scaled(logits, temperature, row, at, size, WIDE)
    high = tl.max(x, 0)
    top = tl.min(tl.where(x == high, at, size), 0)
    total = tl.sum(tl.exp(x - tl.where(high == float("-inf"), 0.0, high)), 0)
    place = row * tl.num_programs(1) + chunk
    tl.store(highs + place, high)
    tl.store(sums + place, total)
    tl.store(tops + place, top)


@triton.jit
def _draw_kernel(
    logits: tl.tensor,
    temperature: tl.tensor,
    greedy: tl.tensor,
    uniforms: tl.tensor,
    highs: tl.tensor,
    sums: tl.tensor,
    tops: tl.tensor,
    tokens: tl.tensor,
    logprobs: tl.tensor,
    size: tl.tensor,
    chunks: tl.tensor,
    BLOCK: tl.constexpr,
    CHUNKS: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    row = tl.program_id(0)
    c = tl.arange(0, CHUNKS)
    high = tl.load(highs + row * chunks + c, mask=c < chunks, other=float("-inf"))
    part = tl.load(sums + row * chunks + c, mask=c < chunks, other=0.0)
    highest = tl.max(high, 0)
    mass = (part * tl.exp(high - highest)).to(tl.float64)
    total = tl.sum(mass, 0)
    target = tl.load(uniforms + row) * total
    # The first chunk whose cumulative mass passes the target; the last one with mass if rounding hides it.
    last = tl.max(tl.where(mass > 0, c, 0), 0)
    passed = (tl.cumsum(mass, 0) > target) & (mass > 0)
    chunk = tl.minimum(tl.min(tl.where(passed, c, CHUNKS), 0), last)
    rest = target - tl.sum(tl.where(c < chunk, mass, 0.0), 0)

    at = chunk * BLOCK + tl.arange(0, BLOCK)
    x = _scaled(logits, temperature, row, at, size, WIDE)
    mass_in = tl.exp(x - highest)
    last = tl.max(tl.where(mass_in > 0, at, 0), 0)
    passed = (tl.cumsum(mass_in, 0) > rest.to(mass_in.dtype)) & (mass_in > 0)
    token = tl.minimum(tl.min(tl.where(passed, at, size), 0), last)

    is_greedy = tl.load(greedy + row) != 0
    best = tl.min(
        tl.where(high == highest, tl.load(tops + row * chunks + c, mask=c < chunks, other=size), size), 0
    )
    token = tl.minimum(tl.where(is_greedy, best, token), size - 1)
    chosen = tl.load(logits + row * size + token).to(mass_in.dtype) / tl.load(temperature + row).to(
        mass_in.dtype
    )
    logprob = (chosen - highest) - tl.log(total).to(mass_in.dtype)
    # Times zero: a point mass has the logprob 0, but a row that is not finite keeps its NaN.
    logprob = tl.where(is_greedy, logprob * 0.0, logprob)
    tl.store(tokens + row, token.to(tl.int64))
    tl.store(logprobs + row, logprob)


def draw(logits: Tensor, uniforms: Tensor, temperature: Tensor, greedy: Tensor) -> tuple[Tensor, Tensor]:
    """The token at which the CDF of softmax(logits / temperature) first exceeds the row's uniform.

    `logits[B, V]`; float64 `uniforms[B]` in [0, 1) and `temperature[B]`, positive; bool `greedy[B]`, whose rows take
    the first largest logit with logprob 0. Returns int64 `tokens[B]` and `logprobs[B]` in nats, float32 or, of
    float64 logits, float64; NaN where logits are not finite.
    """
    rows, size = logits.shape
    wide = logits.dtype == torch.float64
    dtype = torch.float64 if wide else torch.float32
    chunks = triton.cdiv(size, CHUNK)
    block = min(CHUNK, triton.next_power_of_2(size))
    highs, sums = (torch.empty(rows, chunks, dtype=dtype, device=logits.device) for _ in range(2))
    tops = torch.empty(rows, chunks, dtype=torch.int32, device=logits.device)
    tokens = torch.empty(rows, dtype=torch.int64, device=logits.device)
    logprobs = torch.empty(rows, dtype=dtype, device=logits.device)
    _chunk_kernel[(rows, chunks)](
        logits, temperature, highs, sums, tops, size, BLOCK=block, WIDE=wide, num_warps=8
    )
    _draw_kernel[(rows,)](
        logits, temperature, greedy, uniforms, highs, sums, tops, tokens, logprobs, size, chunks,
        BLOCK=block, CHUNKS=max(2, triton.next_power_of_2(chunks)), WIDE=wide, num_warps=8,
    )  # fmt: skip
    return tokens, logprobs
