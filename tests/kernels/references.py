"""Slow attention: one dense mask for a forest, and CPU kernels for torch's flash operators with their own signature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from builders import deep_tree, groups_of
from hone.core.forest import Forest

SHAPES = {
    "groups": groups_of([9, 3, 17, 8], [[4, 1, 6], [2], [5, 5], [30, 1, 2, 3]]),
    "equal groups": groups_of([9, 9, 9], [[5, 5, 5], [5, 5, 5], [5, 5, 5]]),
    "deep": deep_tree(),
    "prompts differ, one answer": groups_of([2, 40], [[1], [1]]),
    "single tokens": groups_of([1, 1], [[1, 1], [1]]),
}


def dense(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, forest: Forest, scale: float) -> torch.Tensor:
    """One mask over all pairs of stored tokens, from ancestry alone."""
    size = forest.num_stored
    allowed = torch.zeros(size, size, dtype=torch.bool)
    for start, length in forest.segments:
        allowed[start : start + length, start : start + length] = torch.ones(length, length).tril().bool()
    for family in forest.families:
        for token in family.queries:
            allowed[int(token), torch.from_numpy(family.context)] = True
    repeat = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) * scale
    probs = scores.masked_fill(~allowed.to(q.device), float("-inf")).softmax(-1)
    return torch.einsum("hqk,khd->qhd", probs, v)


def random_heads(
    forest: Forest, heads: tuple[int, int], dtype: torch.dtype = torch.float64, dim: int = 8
) -> tuple[torch.Tensor, ...]:
    """`q[N, H, D]`, `k[N, Hkv, D]`, `v` that require gradients, and a weight for the output."""
    torch.manual_seed(0)
    shapes = [(forest.num_stored, heads[i], dim) for i in (0, 1, 1, 0)]
    q, k, v, weight = (torch.randn(shape, dtype=torch.float64).to(dtype) for shape in shapes)
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_(), weight


@contextmanager
def flash_kernels() -> Iterator[list[str]]:
    """CPU kernels for the two flash operators, as strict about arguments as those of CUDA; yields the calls made."""
    calls: list[str] = []

    def parts(q, k, cu_q, cu_k, max_q, max_k, causal, scale):
        """Places, and masked scores `[H, q, k]`, of each sequence."""
        assert cu_q.dtype == cu_k.dtype == torch.int32
        assert cu_q.is_contiguous()
        assert cu_k.is_contiguous()
        assert len(cu_q) == len(cu_k) >= 2
        assert int(cu_q[-1]) == len(q)
        assert int(cu_k[-1]) == len(k)
        assert 2 <= int(cu_q.diff().max()) <= max_q or max_q == 2
        assert int(cu_k.diff().max()) <= max_k
        assert q.stride(-1) == k.stride(-1) == 1
        for a, b, c, d in zip(cu_q[:-1], cu_q[1:], cu_k[:-1], cu_k[1:]):
            scores = torch.einsum("qhd,khd->hqk", q[a:b], repeated(k, q)[c:d]) * scale
            if causal:
                scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf"))
            yield slice(a, b), slice(c, d), scores

    def repeated(x, q):
        return x.repeat_interleave(q.shape[1] // x.shape[1], 1)

    def forward(
        query, key, value, cum_seq_q, cum_seq_k, max_q, max_k, dropout_p, is_causal, return_debug_mask, *,
        scale=None, **unused,
    ):  # fmt: skip
        calls.append("forward")
        assert dropout_p == 0.0
        assert not return_debug_mask
        out, lse = torch.empty_like(query), query.new_empty(query.shape[1], len(query))
        args = query, key, cum_seq_q, cum_seq_k, max_q, max_k, is_causal, scale
        for at_q, at_k, scores in parts(*args):
            lse[:, at_q] = scores.logsumexp(-1)
            out[at_q] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), repeated(value, query)[at_k])
        empty = query.new_empty(0)
        return out, lse, empty, empty, empty

    def backward(
        grad_out, query, key, value, out, logsumexp, cum_seq_q, cum_seq_k, max_q, max_k, dropout_p, is_causal,
        rng_state, unused, *, scale=None, window_size_left=None, window_size_right=None,
    ):  # fmt: skip
        calls.append("repeatable backward" if torch.are_deterministic_algorithms_enabled() else "backward")
        assert logsumexp.is_contiguous()
        assert logsumexp.shape == (query.shape[1], len(query))
        assert grad_out.shape == out.shape == query.shape
        assert grad_out.dtype == out.dtype == query.dtype
        grads = [
            torch.zeros_like(query),
            torch.zeros_like(repeated(key, query)),
            torch.zeros_like(repeated(key, query)),
        ]
        args = query, key, cum_seq_q, cum_seq_k, max_q, max_k, is_causal, scale
        for at_q, at_k, scores in parts(*args):
            probs = (scores - logsumexp[:, at_q, None]).exp()
            delta = (grad_out[at_q] * out[at_q]).sum(-1).T[..., None]
            slope = torch.einsum("qhd,khd->hqk", grad_out[at_q], repeated(value, query)[at_k])
            slope = probs * (slope - delta) * scale
            grads[0][at_q] += torch.einsum("hqk,khd->qhd", slope, repeated(key, query)[at_k])
            grads[1][at_k] += torch.einsum("hqk,qhd->khd", slope, query[at_q])
            grads[2][at_k] += torch.einsum("hqk,qhd->khd", probs, grad_out[at_q])
        return grads[0], *(x.unflatten(1, (key.shape[1], -1)).sum(2) for x in grads[1:])

    library = torch.library.Library("aten", "IMPL")
    library.impl("_flash_attention_forward", forward, "CPU")
    library.impl("_flash_attention_backward", backward, "CPU")
    try:
        yield calls
    finally:
        library._destroy()
