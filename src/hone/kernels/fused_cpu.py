"""RMS norms and gated activations as single operations with gradients, on a CPU in float32.

Stock modules compute them in a dozen passes over memory and keep a tensor for each. Imported only where numba is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hone.kernels import layers_numba as kernels
from hone.kernels.numba_jit import prepare

BLOCK = 1 << 16  # numbers whose part of a weight's gradient is summed in one go


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        prepare()
        rows = x.contiguous().view(-1, x.shape[-1])
        out, inverse = torch.empty_like(rows), rows.new_empty(len(rows))
        kernels.norm_forward(
            rows.numpy(), weight.detach().numpy(), np.float32(eps), out.numpy(), inverse.numpy()
        )
        ctx.save_for_backward(rows, weight, inverse)
        return out.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        prepare()
        rows, weight, inverse = ctx.saved_tensors
        width = rows.shape[1]
        g = grad.contiguous().view(-1, width)
        to_x = torch.empty_like(rows)
        to_weight = rows.new_empty(max(1, rows.numel() // BLOCK), width)
        kernels.norm_backward(
            g.numpy(), rows.numpy(), weight.detach().numpy(), inverse.numpy(), to_x.numpy(), to_weight.numpy()
        )
        return to_x.view(grad.shape), to_weight.sum(0), None


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        prepare()
        gates, ups = (x.contiguous().view(-1, x.shape[-1]) for x in (gate, up))
        out = torch.empty_like(gates)
        kernels.gate_forward(gates.numpy(), ups.numpy(), out.numpy())
        ctx.save_for_backward(gates, ups)
        return out.view(gate.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        prepare()
        gates, ups = ctx.saved_tensors
        to_gate, to_up = torch.empty_like(gates), torch.empty_like(ups)
        g = grad.contiguous().view(gates.shape)
        kernels.gate_backward(g.numpy(), gates.numpy(), ups.numpy(), to_gate.numpy(), to_up.numpy())
        return to_gate.view(grad.shape), to_up.view(grad.shape)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMS norm of the last axis of `x[..., width]`, times `weight[width]`."""
    return _Norm.apply(x, weight, eps)  # type: ignore[no-any-return, no-untyped-call]


def silu_gate(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) up, of two tensors of one shape."""
    return _Gate.apply(gate, up)  # type: ignore[no-any-return, no-untyped-call]
