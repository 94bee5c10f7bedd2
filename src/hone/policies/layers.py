"""How a policy's layers run in a scoring pass: as they are, fused, compiled, or computed again going backward."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from hone.policies.fusing import fused


def decoder_layers(model: Any) -> list[nn.Module]:
    """The layers that transformers marks as what activations may be recomputed for; none in some architectures."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [m for m in model.base_model.modules() if isinstance(m, GradientCheckpointingLayer)]


@contextmanager
def attention(model: Any, name: str) -> Iterator[None]:
    """`model` with the attention implementation `name`, as transformers knows it."""
    before = model.config._attn_implementation
    if before == name:
        yield
        return
    model.set_attn_implementation(name)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def running(model: Any, compiled: bool, recompute: bool, fuse: bool = False) -> Iterator[None]:
    """Decoder layers of `model` that run compiled, or keep only their inputs and compute the rest again backward.

    With `fuse` norms and gates run as single operations. Nothing outside the block is changed: sampling runs the
    layers as they are.
    """
    layers = decoder_layers(model) if compiled or recompute else []
    for layer in layers:
        forward: Callable[..., Any] = layer.forward
        if compiled:
            forward = partial(_compiled(type(layer)), layer)  # type: ignore[arg-type]
        if recompute:
            forward = _recomputed(model, layer, forward, fuse)
        layer.forward = forward  # type: ignore[method-assign]
    try:
        with fused(model) if fuse else nullcontext():
            yield
    finally:
        for layer in layers:
            del layer.forward


@cache
def _compiled(kind: type[nn.Module]) -> Callable[..., Any]:
    """The forward pass of a class of layers, compiled once for all of them and for any number of tokens."""
    return torch.compile(kind.forward, dynamic=True)


def _recomputed(model: Any, layer: nn.Module, forward: Callable[..., Any], fuse: bool) -> Callable[..., Any]:
    name = model.config._attn_implementation

    def again(*args: Any, **options: Any) -> Any:
        # In the backward pass the model has long been given back its own attention and modules.
        with attention(model, name), fused(layer) if fuse else nullcontext():
            return forward(*args, **options)

    # Layers draw no random numbers: hone runs models without dropout.
    return partial(checkpoint, again, use_reentrant=False, preserve_rng_state=False)
