"""Norms and gated activations of a model that a scoring pass runs as single operations, on a CPU in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hone.kernels.numba_jit import has_numba

ACTIVATIONS = ("silu", "swish")


def can_fuse(model: Any) -> bool:
    """Whether numba is there, and the model has norms or gates that its kernels serve where and as it is."""
    weight = next(model.parameters())
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or not has_numba():
        return False
    return any(_forward(module) is not None for module in model.modules())


@contextmanager
def fused(model: nn.Module) -> Iterator[None]:
    """RMS norms and SwiGLU layers of the Llama family as single operations, for the length of the block.

    Only modules of the plain form are taken; the policy compares the outcome with the stock modules when it is loaded.
    """
    found = {module: forward for module in model.modules() if (forward := _forward(module)) is not None}
    before = {module: vars(module).get("forward") for module in found}
    for module, forward in found.items():
        module.forward = forward
    try:
        yield
    finally:
        for module, own in before.items():
            if own is None:
                del module.forward
            else:
                module.forward = own


def _forward(module: nn.Module) -> Any:
    """The forward pass that replaces a module's own, or None."""
    if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
        return partial(_norm, module)
    linears = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    names = [name for name, _ in module.named_children()]
    if all(isinstance(x, nn.Linear) for x in linears) and len(names) == 4 and _is_silu(module):
        return partial(_mlp, module)
    return None


def _is_silu(module: Any) -> bool:
    return getattr(getattr(module, "config", None), "hidden_act", None) in ACTIVATIONS


def _norm(module: Any, x: Tensor) -> Tensor:
    from hone.kernels.fused_cpu import rms_norm

    return rms_norm(x, module.weight, module.variance_epsilon)


def _mlp(module: Any, x: Tensor) -> Tensor:
    from hone.kernels.fused_cpu import silu_gate

    out: Tensor = module.down_proj(silu_gate(module.gate_proj(x), module.up_proj(x)))
    return out
