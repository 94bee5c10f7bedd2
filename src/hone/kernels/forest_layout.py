"""How the attention of one forest is cut up on one device, and which of the two paths computes it."""

from __future__ import annotations

import itertools
from functools import cached_property

import torch
from torch import Tensor

from hone.core.forest import Forest
from hone.kernels import forest_buckets, forest_flash

_numbers = itertools.count()


class Layout:
    """The plan of one forest's attention on one device: made at first use, then used by every layer.

    `number` is a tensor that names the layout where only tensors can be passed, in compiled code. `repeatable` asks
    for gradients that are the same bit for bit every time, on CUDA as well, and needs that no other thread uses torch
    during the backward pass.
    """

    def __init__(self, forest: Forest, device: torch.device | str = "cpu", repeatable: bool = True) -> None:
        self.forest = forest
        self.device = torch.device(device)
        self.repeatable = repeatable
        self.number = torch.tensor([next(_numbers)])

    @cached_property
    def buckets(self) -> tuple[forest_buckets.Bucket, ...]:
        """Rows of similar length, for the CPU and for what flash attention does not serve."""
        return forest_buckets.buckets(self.forest, self.device)

    @cached_property
    def varlen(self) -> forest_flash.VarlenPlan:
        """Sequences of any length, for flash attention."""
        return forest_flash.plan(self.forest, self.device, self.repeatable)


def attend(q: Tensor, k: Tensor, v: Tensor, layout: Layout, scale: float) -> tuple[Tensor, Tensor]:
    """`q[N, H, D]`, `k[N, Hkv, D]`, `v[N, Hkv, D]` -> the output `[N, H, D]` and its log-sum-exp `[H, N]`."""
    if forest_flash.serves(q):
        return forest_flash.forward(q, k, v, layout.varlen, scale)
    return forest_buckets.forward(q, k, v, layout.buckets, scale)


def attend_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, layout: Layout, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `q`, `k` and `v`, given that of the output of `attend`."""
    grad = grad.contiguous()
    if forest_flash.serves(q):
        return forest_flash.backward(grad, q, k, v, out, lse, layout.varlen, scale)
    return forest_buckets.backward(grad, q, k, v, out, lse, layout.buckets, scale)
