"""Forest attention as one opaque operator, for code that torch.compile traces.

A traced graph takes tensors, not layouts, and is reused for other forests. So the operator is given the layout's
number, a tensor, and looks the layout up when it runs.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from hone.kernels.forest_layout import Layout, attend, attend_backward

_layouts: WeakValueDictionary[int, Layout] = WeakValueDictionary()


def announce(layout: Layout) -> None:
    """Let the operator find `layout` for as long as somebody holds it."""
    _layouts[int(layout.number)] = layout


def hold(out: Tensor, layout: Layout) -> None:
    """Keep `layout` for as long as gradients can flow back through `out`, since a compiled graph does not hold it."""
    if out.requires_grad:
        out.register_hook(lambda grad, held=layout: None)


def call(q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> Tensor:
    """`q[N, H, D]`, `k[N, Hkv, D]`, `v[N, Hkv, D]` -> `[N, H, D]`; the layout must be announced."""
    out, _ = _forward(q, k, v, layout.number, scale)
    return out


@torch.library.custom_op(
    "hone::forest_attention",
    mutates_args=(),
    schema="(Tensor q, Tensor k, Tensor v, Tensor number, float scale) -> (Tensor, Tensor)",
)
def _forward(q: Tensor, k: Tensor, v: Tensor, number: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    out, lse = attend(q, k, v, _layouts[int(number)], scale)
    return out.contiguous(), lse.contiguous()


@torch.library.custom_op(
    "hone::forest_attention_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor q, Tensor k, Tensor v, Tensor out, Tensor lse, Tensor number, float scale)"
    " -> (Tensor, Tensor, Tensor)",
)
def _backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, number: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    grads = attend_backward(grad, q, k, v, out, lse, _layouts[int(number)], scale)
    return grads[0].contiguous(), grads[1].contiguous(), grads[2].contiguous()


@_forward.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, number: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    wide = torch.promote_types(q.dtype, torch.float32)
    return q.new_empty(q.shape), q.new_empty((q.shape[1], q.shape[0]), dtype=wide)


@_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, number: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *saved, scale = inputs
    ctx.save_for_backward(*saved, *output)
    ctx.scale = scale


def _differentiate(
    ctx: Any, grad: Tensor, grad_lse: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, None, None]:
    q, k, v, number, out, lse = ctx.saved_tensors
    return *_backward(grad, q, k, v, out, lse, number, ctx.scale), None, None


_forward.register_autograd(_differentiate, setup_context=_save)
