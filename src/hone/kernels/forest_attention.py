"""Attention over a packed forest: a shared prefix's keys and values are read once for all of its children.

The softmax of a token runs over two disjoint parts: the tokens of its own segment up to itself, and the context that
its segment shares with its siblings. Each part is a plain attention with its log-sum-exp; parts merge exactly:
O = sum_p exp(lse_p - lse) O_p with lse = logsumexp_p lse_p. Backward, each part is the usual attention backward with
the merged output and the merged lse, since P_p = exp(S_p - lse) and delta = rowsum(dO * O) belong to the whole row.
With two parts, exp(lse_2 - lse) is sigmoid(lse_2 - lse_1), and O lies between O_1 and O_2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hone.kernels import forest_operator
from hone.kernels.forest_layout import Layout, attend, attend_backward

NAME = "hone_forest"


class _ForestAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> Tensor:
        out, lse = attend(q, k, v, layout, scale)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.layout, ctx.scale = layout, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, out, lse = ctx.saved_tensors
        return *attend_backward(grads[0], q, k, v, out, lse, ctx.layout, ctx.scale), None, None


def forest_attention(q: Tensor, k: Tensor, v: Tensor, plan: Layout, scale: float) -> Tensor:
    """Causal attention of every stored token to its ancestors and its own segment.

    `q[N, H, D]`, `k[N, Hkv, D]`, `v[N, Hkv, D]`, H a multiple of Hkv; returns `[N, H, D]`. Under autocast the three
    are cast as torch casts the operands of an attention: a norm on queries and keys may have left them in float32.
    """
    kind = q.device.type
    if torch.is_autocast_enabled(kind):
        dtype = torch.get_autocast_dtype(kind)
        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
    if torch.compiler.is_compiling():
        return forest_operator.call(q, k, v, plan, scale)
    with torch.autocast(kind, enabled=False):
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
    q, k, v = (x.squeeze(0).transpose(0, 1) for x in (query, key, value))
    return forest_attention(q, k, v, forest_layout, scale)[None], None


def register() -> None:
    """Make the name `hone_forest` known to transformers' attention interface."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attention_interface)
