"""The operations of a static decode step by Triton kernels. Imported only where Triton is."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hone.engines.native_model import NativeModel
from hone.engines.plain_operations import PlainOperations
from hone.engines.sampler import RowSettings, allowed
from hone.engines.static_step import StepInputs
from hone.kernels import sampling_triton
from hone.kernels.decode_triton import decode_attention
from hone.kernels.layer_triton import add_and_norm, rotate_and_store, silu_gate


class TritonOperations(PlainOperations):
    """Operations of `model` in float32, float16 or bfloat16; what has no kernel stays plain."""

    def __init__(self, model: NativeModel) -> None:
        super().__init__(model)
        self._silu = model.model.config.hidden_act in ("silu", "swish")

    def norm(self, x: Tensor, added: Tensor | None, module: Any) -> tuple[Tensor, Tensor]:
        """Adds into `x`, and norms the sum."""
        return x, add_and_norm(x, added, module.weight, module.variance_epsilon, self._model.dtype)

    def project(self, index: int, normed: Tensor, now: StepInputs) -> Tensor:
        """Rotated queries of a layer; its keys and values are written to the rows' places."""
        model = self._model
        attention, weights = model.model.model.layers[index].self_attn, model.layers[index]
        heads = F.linear(normed, weights.qkv, weights.qkv_bias).view(len(normed), -1, model.head_dim)
        norms = None
        if hasattr(attention, "q_norm"):
            norms = attention.q_norm.weight, attention.k_norm.weight, attention.q_norm.variance_epsilon
        return rotate_and_store(
            heads, now.cos, now.sin, norms, model.rotates[index], now.suffixes[index], now.slots, now.places
        )

    def attend(self, index: int, q: Tensor, now: StepInputs) -> Tensor:
        """Attention of the new tokens to their prefixes and to their rows' own tokens."""
        return decode_attention(
            q, now.prefixes[index], now.suffixes[index], now.tiles, now.slots, now.used,
            self._model.scale, now.shape.prefix, now.shape.suffix,
        )  # fmt: skip

    def activate(self, index: int, gate_up: Tensor) -> Tensor:
        """The gated activation of a layer."""
        return silu_gate(gate_up) if self._silu else super().activate(index, gate_up)

    def draw(self, logits: Tensor, uniforms: Tensor, rows: RowSettings) -> tuple[Tensor, Tensor]:
        """Tokens and logprobs; by the plain sampler where some row excludes tokens."""
        if rows.truncates or rows.temperature is None or rows.greedy is None:
            return super().draw(logits, uniforms, rows)
        if rows.actions is not None:
            logits = logits.masked_fill(~allowed(rows.actions, logits.shape[-1]), -torch.inf)
        return sampling_triton.draw(logits, uniforms, rows.temperature[:, 0], rows.greedy[:, 0])
