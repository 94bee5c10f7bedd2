"""Triton kernels over the logits of a chunk: one pass for logprob, normaliser and entropy, one that turns them into
their gradient in place. Logits stay in the dtype of the product that made them; sums are in float32."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 4096  # tokens of the vocabulary that a program has in registers


@triton.jit
def _statistics_kernel(
    logits: tl.tensor,
    tokens: tl.tensor,
    logprobs: tl.tensor,
    normalisers: tl.tensor,
    entropies: tl.tensor,
    size: tl.tensor,
    inverse: tl.tensor,
    SIZE: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    # Lane by lane, so that the loop has no reduction in it: the largest so far, and two sums relative to it.
    high = tl.full([SIZE], float("-inf"), tl.float32)
    total = tl.zeros([SIZE], tl.float32)
    weighted = tl.zeros([SIZE], tl.float32)
    for start in range(0, size, SIZE):
        at = start + tl.arange(0, SIZE)
        x = tl.load(logits + row * size + at, mask=at < size, other=float("-inf")).to(tl.float32) * inverse
        top = tl.maximum(high, x)
        base = tl.where(top == float("-inf"), 0.0, top)
        shrink = tl.exp(high - base)
        p = tl.exp(x - base)
        total = total * shrink + p
        weighted = weighted * shrink + tl.where(p > 0, p * x, 0.0)
        high = top
    highest = tl.max(high, 0)
    scale = tl.exp(high - highest)
    mass = tl.sum(total * scale, 0)
    lse = highest + tl.log(mass)
    mean = tl.sum(weighted * scale, 0) / mass
    chosen = tl.load(logits + row * size + tl.load(tokens + row)).to(tl.float32) * inverse
    tl.store(logprobs + row, chosen - lse)
    tl.store(normalisers + row, lse)
    tl.store(entropies + row, lse - mean)


@triton.jit
def _gradient_kernel(
    logits: tl.tensor,
    tokens: tl.tensor,
    normalisers: tl.tensor,
    entropies: tl.tensor,
    of_logprobs: tl.tensor,
    of_entropies: tl.tensor,
    size: tl.tensor,
    inverse: tl.tensor,
    ENTROPY: tl.constexpr,
    SIZE: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * SIZE + tl.arange(0, SIZE)
    place = logits + row * size + at
    x = tl.load(place, mask=at < size, other=float("-inf")).to(tl.float32) * inverse
    logp = x - tl.load(normalisers + row)
    p = tl.exp(logp)
    slope = tl.load(of_logprobs + row)
    # d log p_t / dz_v = [v = t] - p_v; dH / dz_v = -p_v (log p_v + H)
    grad = tl.where(at == tl.load(tokens + row), slope, 0.0) - slope * p
    if ENTROPY:
        grad -= tl.load(of_entropies + row) * tl.where(p > 0, p * (logp + tl.load(entropies + row)), 0.0)
    tl.store(place, (grad * inverse).to(logits.dtype.element_ty), mask=at < size)


def statistics(logits: Tensor, tokens: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Of `logits[T, V]` over the temperature: the logprobs of `tokens[T]`, log-normalisers, entropies; float32."""
    out = torch.empty(3, len(tokens), dtype=torch.float32, device=logits.device)
    if len(tokens):
        size = min(BLOCK, triton.next_power_of_2(logits.shape[1]))
        _statistics_kernel[(len(tokens),)](
            logits, tokens, *out, logits.shape[1], 1.0 / temperature, SIZE=size, num_warps=8
        )
    return out[0], out[1], out[2]


def gradient_(
    logits: Tensor,
    tokens: Tensor,
    normalisers: Tensor,
    entropies: Tensor,
    of_logprobs: Tensor,
    of_entropies: Tensor | None,
    temperature: float,
) -> Tensor:
    """`logits[T, V]`, overwritten by the gradient with respect to them, given that of logprobs and entropies `[T]`."""
    if len(tokens):
        size = min(BLOCK, triton.next_power_of_2(logits.shape[1]))
        grid = (len(tokens), triton.cdiv(logits.shape[1], size))
        _gradient_kernel[grid](
            logits, tokens, normalisers, entropies, of_logprobs,
            of_logprobs if of_entropies is None else of_entropies,
            logits.shape[1], 1.0 / temperature, ENTROPY=of_entropies is not None, SIZE=size, num_warps=8,
        )  # fmt: skip
    return logits
