"""Attention over a packed forest: a shared prefix's keys and values are read once for all of its children.

The softmax of a token runs over two disjoint parts: the tokens of its own segment up to itself, and the context that
its segment shares with its siblings. Each part is a plain attention with its log-sum-exp; parts merge exactly:
O = sum_p exp(lse_p - lse) O_p with lse = logsumexp_p lse_p. Backward, each part is the usual attention backward with
the merged output and the merged lse, since P_p = exp(S_p - lse) and delta = rowsum(dO * O) belong to the whole row.
Padding exists only inside the buckets made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hone.core.forest import Forest

NAME = "hone_forest"


@dataclass(frozen=True)
class Bucket:
    """Attention calls of similar length: `rows` of queries against `rows` of keys, as padded flat indices."""

    queries: Tensor  # [rows, Lq] stored index, padded with 0
    keys: Tensor  # [rows, Lk]
    valid: Tensor  # [rows * Lq] bool: which query places are real
    place: Tensor  # [valid places] stored index of each real query place
    key_bias: Tensor | None  # [rows, 1, 1, Lk] 0 or -inf where keys are padding; None if none is
    own: bool  # causal attention of a segment to itself, or full attention to a shared context


@dataclass(frozen=True)
class Layout:
    """The buckets of one forest on one device, made once and used by every layer."""

    buckets: tuple[Bucket, ...]
    num_stored: int


def _bucket_by_length(lengths: list[tuple[int, int]], waste: float = 0.25) -> list[list[int]]:
    """Group items of (query length, key length) so that padding adds at most `waste` to either length."""
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i][1], lengths[i][0]), reverse=True)
    groups: list[list[int]] = []
    for i in order:
        if groups:
            head = lengths[groups[-1][0]]
            longest = max(lengths[j][0] for j in (groups[-1][0], groups[-1][-1], i))
            shortest = min(lengths[j][0] for j in (groups[-1][0], groups[-1][-1], i))
            if head[1] <= (1 + waste) * lengths[i][1] and longest <= (1 + 2 * waste) * shortest:
                groups[-1].append(i)
                continue
        groups.append([i])
    return groups


def _pad(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of indices as one padded matrix, and the mask of its real places."""
    lengths = np.array([len(r) for r in rows])
    real = np.arange(lengths.max())[None, :] < lengths[:, None]
    out = np.zeros(real.shape, np.int64)
    out[real] = np.concatenate(rows)
    return out, real


def _make_bucket(
    queries: list[np.ndarray], keys: list[np.ndarray], own: bool, device: torch.device
) -> Bucket:
    q, q_real = _pad(queries)
    k, k_real = _pad(keys)
    bias = None
    if not own and not k_real.all():
        bias = torch.zeros(k_real.shape).masked_fill(~torch.from_numpy(k_real), float("-inf"))
        bias = bias[:, None, None, :].to(device)
    return Bucket(
        queries=torch.from_numpy(q).to(device),
        keys=torch.from_numpy(k).to(device),
        valid=torch.from_numpy(q_real.reshape(-1)).to(device),
        place=torch.from_numpy(q[q_real]).to(device),
        key_bias=bias,
        own=own,
    )


def layout(forest: Forest, device: torch.device | str = "cpu") -> Layout:
    """Plan the attention of `forest`: one bucket list for segments, one for shared contexts."""
    device = torch.device(device)
    buckets: list[Bucket] = []
    own = [np.arange(start, start + size) for start, size in forest.segments]
    for group in _bucket_by_length([(len(x), len(x)) for x in own]):
        rows = [own[i] for i in group]
        buckets.append(_make_bucket(rows, rows, True, device))
    families = forest.families
    for group in _bucket_by_length([(len(f.queries), len(f.context)) for f in families]):
        chosen = [families[i] for i in group]
        buckets.append(_make_bucket([f.queries for f in chosen], [f.context for f in chosen], False, device))
    return Layout(tuple(buckets), forest.num_stored)


def _heads(q: Tensor, k: Tensor, v: Tensor, bucket: Bucket) -> tuple[Tensor, Tensor, Tensor]:
    """Bucket views `[rows, heads, length, D]` of flat `q[N, H, D]`, `k[N, Hkv, D]`, `v`.

    Shared contexts fold the query heads of one key-value head into the query length, so keys are never copied. A
    segment's own causal part repeats its few keys instead, which keeps the causal mask implicit.
    """
    rows, lq = bucket.queries.shape
    num_heads, dim = q.shape[1], q.shape[2]
    num_kv = k.shape[1]
    rep = num_heads // num_kv
    qb = q.index_select(0, bucket.queries.reshape(-1)).view(rows, lq, num_heads, dim)
    keys = bucket.keys.reshape(-1)
    kb = k.index_select(0, keys).view(rows, -1, num_kv, dim).transpose(1, 2)
    vb = v.index_select(0, keys).view(rows, -1, num_kv, dim).transpose(1, 2)
    if bucket.own:
        return qb.transpose(1, 2), kb.repeat_interleave(rep, 1), vb.repeat_interleave(rep, 1)
    qb = qb.view(rows, lq, num_kv, rep, dim).permute(0, 2, 3, 1, 4).reshape(rows, num_kv, rep * lq, dim)
    return qb, kb, vb


def _unfold(x: Tensor, bucket: Bucket, num_heads: int) -> Tensor:
    """`[rows, heads, length, ...]` of a bucket back to its real query places `[places, H, ...]`."""
    rows, lq = bucket.queries.shape
    if bucket.own:
        x = x.transpose(1, 2)
    else:
        num_kv = x.shape[1]
        rep = num_heads // num_kv
        x = x.reshape(rows, num_kv, rep, lq, *x.shape[3:]).transpose(1, 3).transpose(2, 3)
    return x.reshape(rows * lq, num_heads, *x.shape[4 if not bucket.own else 3 :])[bucket.valid]


def _fold(x: Tensor, bucket: Bucket, num_kv: int) -> Tensor:
    """Flat `[N, H, ...]` rows gathered into the query shape of a bucket."""
    rows, lq = bucket.queries.shape
    num_heads = x.shape[1]
    xb = x.index_select(0, bucket.queries.reshape(-1)).view(rows, lq, num_heads, *x.shape[2:])
    if bucket.own:
        return xb.transpose(1, 2)
    rep = num_heads // num_kv
    xb = xb.view(rows, lq, num_kv, rep, *x.shape[2:]).transpose(1, 2).transpose(2, 3)
    return xb.reshape(rows, num_kv, rep * lq, *x.shape[2:])


def _fused(q: Tensor) -> bool:
    """Whether torch's fused CPU attention, which also gives the log-sum-exp, serves this tensor."""
    return q.device.type == "cpu"


def _attend(
    q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Attention output and log-sum-exp of one bucket."""
    if _fused(q):
        if bias is not None:
            bias = bias.to(q.dtype).expand(-1, q.shape[1], q.shape[2], -1)
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, causal, attn_mask=bias, scale=scale
        )
        return out, lse
    scores = (q @ k.transpose(-1, -2)).float() * scale
    scores = _masked(scores, bias, causal)
    lse = scores.logsumexp(-1)
    return (scores - lse[..., None]).exp().to(v.dtype) @ v, lse


def _masked(scores: Tensor, bias: Tensor | None, causal: bool) -> Tensor:
    if causal:
        length = scores.shape[-1]
        later = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    return scores if bias is None else scores + bias


def _attend_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    bias: Tensor | None,
    causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of one part, given the merged output and lse of its rows."""
    if _fused(q):
        if bias is not None:
            bias = bias.to(q.dtype).expand(-1, q.shape[1], q.shape[2], -1)
        gq, gk, gv = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, q, k, v, out, lse, 0.0, causal, attn_mask=bias, scale=scale
        )
        return gq, gk, gv
    scores = _masked((q @ k.transpose(-1, -2)).float() * scale, bias, causal)
    probs = (scores - lse[..., None]).exp()
    delta = (grad.float() * out.float()).sum(-1, keepdim=True)
    grad_scores = (probs * ((grad @ v.transpose(-1, -2)).float() - delta) * scale).to(q.dtype)
    return grad_scores @ k, grad_scores.transpose(-1, -2) @ q, probs.to(v.dtype).transpose(-1, -2) @ grad


class _ForestAttention(torch.autograd.Function):
    """`q[N, H, D]`, `k[N, Hkv, D]`, `v[N, Hkv, D]` -> `[N, H, D]`."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, plan: Layout, scale: float) -> Tensor:
        num_heads, num_kv = q.shape[1], k.shape[1]
        total: Tensor | None = None
        lse: Tensor | None = None
        for bucket in plan.buckets:
            part, part_lse = _attend(*_heads(q, k, v, bucket), bucket.key_bias, bucket.own, scale)
            part = _unfold(part, bucket, num_heads)
            part_lse = _unfold(part_lse, bucket, num_heads)
            if total is None or lse is None:
                total = q.new_zeros(q.shape)
                lse = part_lse.new_full(q.shape[:2], float("-inf"))
            # Each place is in one own bucket and at most one shared bucket, own buckets come first.
            if bucket.own:
                total[bucket.place] = part
                lse[bucket.place] = part_lse
            else:
                before = lse[bucket.place]
                merged = torch.logaddexp(before, part_lse)
                kept = (before - merged).exp()[..., None].to(part.dtype)
                gained = (part_lse - merged).exp()[..., None].to(part.dtype)
                total[bucket.place] = total[bucket.place] * kept + part * gained
                lse[bucket.place] = merged
        assert total is not None and lse is not None  # a forest has at least one segment
        ctx.save_for_backward(q, k, v, total, lse)
        ctx.plan, ctx.scale, ctx.num_kv = plan, scale, num_kv
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, out, lse = ctx.saved_tensors
        num_heads, num_kv = q.shape[1], ctx.num_kv
        grad = grads[0].contiguous()
        gq, gk, gv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for bucket in ctx.plan.buckets:
            qb, kb, vb = _heads(q, k, v, bucket)
            # Padded query places hold a copy of stored token 0; their gradient must not reach keys and values.
            grad_b = _fold(grad, bucket, num_kv)
            real = bucket.valid.view(bucket.queries.shape)[:, None, :, None]
            if not bucket.own:
                real = real.repeat(1, 1, num_heads // num_kv, 1)
            part_q, part_k, part_v = _attend_backward(
                grad_b * real, qb, kb, vb,
                _fold(out, bucket, num_kv) * real,
                _fold(lse, bucket, num_kv).masked_fill(~real[..., 0], 0.0),
                bucket.key_bias, bucket.own, ctx.scale,
            )  # fmt: skip
            gq.index_add_(0, bucket.place, _unfold(part_q, bucket, num_heads))
            if bucket.own:
                rows, _, length, dim = part_k.shape
                part_k = part_k.view(rows, num_kv, -1, length, dim).sum(2)
                part_v = part_v.view(rows, num_kv, -1, length, dim).sum(2)
            keys = bucket.keys.reshape(-1)
            gk.index_add_(0, keys, part_k.transpose(1, 2).reshape(len(keys), num_kv, -1))
            gv.index_add_(0, keys, part_v.transpose(1, 2).reshape(len(keys), num_kv, -1))
        return gq, gk, gv, None, None


def forest_attention(q: Tensor, k: Tensor, v: Tensor, plan: Layout, scale: float) -> Tensor:
    """Causal attention of every stored token to its ancestors and its own segment.

    `q[N, H, D]`, `k[N, Hkv, D]`, `v[N, Hkv, D]`, H a multiple of Hkv; returns `[N, H, D]`.
    """
    out: Tensor = _ForestAttention.apply(q, k, v, plan, scale)
    return out


def attention_interface(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    forest_layout: Layout | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The function registered with transformers: `query[1, H, N, D]` -> `[1, N, H, D]`.

    Raises NotImplementedError for what it does not compute (sliding windows, soft caps, sinks, dropout), which the
    policy takes as a sign to expand rollouts instead.
    """
    if forest_layout is None:
        raise NotImplementedError("this architecture does not pass keyword arguments down to its attention")
    extras = [name for name in ("sliding_window", "softcap", "s_aux") if options.get(name) is not None]
    if extras or dropout:
        raise NotImplementedError(f"forest attention does not compute {extras or ['dropout']}")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    return forest_attention(q, k, v, forest_layout, scale)[None], None


def register() -> None:
    """Make the name `hone_forest` known to transformers' attention interface."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attention_interface)
