"""Decode steps by compiled kernels, on a CPU in float32: ten launches a layer, each row attending to its own length.

What lies between two matrix products is one kernel. Rows keep their slots for good, so that nothing is copied when
others end; the plan for prefixes is made anew only when rollouts come, or half of those that it was made for are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hone.core.sampling import SamplingParams
from hone.engines.attention import BlockQueries, Found, PrefixPlan, plan_prefixes
from hone.engines.cache import CACHE_SHARE, SuffixCache, memory_bytes
from hone.engines.native_model import NativeModel
from hone.engines.plain_steps import NEW
from hone.engines.products import Linear, make_linears
from hone.engines.sampler import draw, settings
from hone.kernels import layers_numba as kernels
from hone.kernels import numba_jit

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_NOTHING = np.empty((0, 0), np.float32)
PLANNED = 0.5  # the least share of the rows that a plan was made for that it is kept for
_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default


class Buffer:
    """A tensor with the array that is the same memory."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.array: Floats = tensor.numpy()

    def first(self, rows: int) -> Buffer:
        """The first rows of it."""
        return Buffer(self.tensor[:rows])


def zeros(*shape: int) -> Buffer:
    """A new buffer."""
    return Buffer(torch.zeros(shape))


@dataclass(frozen=True)
class _Part:
    """The prefixes of one block: what their attention reads, and where its results go."""

    block: BlockQueries
    bias: Tensor | None
    queries: Float[Tensor, "P Hkv Q D"]
    shared: Float[Tensor, "P Hkv Q D"]
    lse: Float[Tensor, "P Hkv Q"]


class Frame:
    """The buffers of a batch, and where each row's queries lie among those of its group."""

    def __init__(self, model: NativeModel, plan: PrefixPlan, rows: int) -> None:
        heads, num_kv, dim = model.num_heads, model.num_kv, model.head_dim
        width, inner = model.model.config.hidden_size, model.layers[0].down.shape[1]
        self._heads = heads, dim
        self.planned = rows
        self._buffers = [zeros(rows, size) for size in (width, width, heads * dim, inner)]
        cells = sum(len(part.grid) for part in plan.parts)
        self.queries, self.shared = zeros(cells * heads * dim), zeros(cells * heads * dim)
        self.lse = zeros(cells * heads)
        at, stride = np.empty((2, cells), np.int64)
        self.parts: list[_Part] = []
        start = 0
        for part in plan.parts:
            count, size = len(part.keys_values[0][0]), len(part.grid)
            group = size // count
            span, shape = slice(start * heads, (start + size) * heads), (count, num_kv, -1)
            wide = slice(span.start * dim, span.stop * dim)
            prefix, member = np.divmod(np.arange(size), group)
            stride[start : start + size] = group * heads // num_kv * dim
            at[start : start + size] = (
                wide.start + (prefix * group * heads + member * (heads // num_kv)) * dim
            )
            queries, shared = (b.tensor[wide].view(*shape, dim) for b in (self.queries, self.shared))
            bias = None if part.bias is None else part.bias.expand(-1, num_kv, queries.shape[2], -1)
            self.parts.append(_Part(part, bias, queries, shared, self.lse.tensor[span].view(shape)))
            start += size
        cell_of = slice(rows) if plan.places is None else plan.places.numpy()
        self.at, self.stride = at[cell_of], stride[cell_of]
        self.keep(np.arange(rows))

    def keep(self, rows: Ints) -> None:
        """From here on row i is what row `rows[i]` was; the others are gone, and what is computed for them is waste."""
        self.at, self.stride = self.at[rows], self.stride[rows]
        self.x, self.normed, self.attended, self.gated = (b.first(len(rows)) for b in self._buffers)
        self.attended_heads = self.attended.array.reshape(len(rows), *self._heads)


@dataclass(frozen=True)
class _Layer:
    """What one layer reads, as the kernels and products take it."""

    before_attention: Floats
    before_mlp: Floats
    head_norms: Floats  # [H + Hkv, D], or no columns
    cos: Floats
    sin: Floats
    keys: Floats
    values: Floats
    linears: Sequence[Linear]  # qkv, out, gate_up, down


class CompiledSteps:
    """Steps of `model` on `cache`, for rollouts sampled under `params`. Make it anew for every call of the engine."""

    def __init__(self, model: NativeModel, cache: SuffixCache, params: Sequence[SamplingParams]) -> None:
        self._model = model
        self._table = settings(params, model.device)
        self._truncates = any(p.truncates for p in params)
        self._temperatures = np.array([p.temperature for p in params], np.float32)
        self._scale = np.float32(model.scale)
        self._heads = -1, model.num_heads + 2 * model.num_kv, model.head_dim
        base = model.model.model
        self._eps = np.float32(base.norm.variance_epsilon)
        self._embedding = base.embed_tokens.weight.detach()
        self._last_norm = _array(base.norm.weight)
        if not model.products:
            budget = int(CACHE_SHARE * memory_bytes(model.device))
            model.products = make_linears(model.matrices(), budget)
        self._head = model.products[-1]
        self._layers = [self._layer(index, cache.tensor[index]) for index in range(model.num_layers)]
        self._slots: Ints = np.arange(cache.tensor.shape[2])  # of each row
        self._frame: Frame | None = None
        numba_jit.prepare()

    def _layer(self, index: int, cache: Float[Tensor, "2 slots Hkv T D"]) -> _Layer:
        model = self._model
        layer = model.model.model.layers[index]
        attention, turned = layer.self_attn, model.num_heads + model.num_kv
        norms = np.empty((turned, 0), np.float32)
        if hasattr(attention, "q_norm"):
            each = (attention.q_norm, model.num_heads), (attention.k_norm, model.num_kv)
            norms = np.concatenate([np.tile(_array(norm.weight), (count, 1)) for norm, count in each])
        cos, sin = model.rotary_table(index)
        return _Layer(
            before_attention=_array(layer.input_layernorm.weight),
            before_mlp=_array(layer.post_attention_layernorm.weight),
            head_norms=norms, cos=cos.numpy(), sin=sin.numpy(),
            keys=cache[0].numpy(), values=cache[1].numpy(),
            linears=model.products[4 * index : 4 * index + 4],
        )  # fmt: skip

    def arrange(self, found: Found, kinds: Ints, was: Ints) -> None:
        """Keep the rows that are left, and plan for them where that saves more than it costs."""
        rows, new = len(was), was == NEW
        self._slots = np.where(new, self._slots[:rows], self._slots[was])
        self._row_settings = self._table.rows(kinds)
        self._row_temperatures = self._temperatures[kinds]
        if self._frame is None or new.any() or rows < PLANNED * self._frame.planned:
            self._prefix_lengths = np.array([block.lengths[index] for block, index in found])
            self._frame = Frame(self._model, plan_prefixes(found, self._model.device), rows)
        else:
            self._prefix_lengths = self._prefix_lengths[was]
            self._frame.keep(was)

    def draw(
        self, hidden: Float[Tensor, "rows width"], noise: npt.NDArray[np.float64]
    ) -> tuple[Int[Tensor, "rows"], Float[Tensor, "rows"]]:
        """Tokens and their logprobs, of last hidden states; by torch where some row excludes tokens."""
        if self._truncates:
            return draw(self._model.logits(hidden), torch.from_numpy(noise), self._row_settings)
        tokens, logprobs = torch.empty(len(noise), dtype=torch.int64), torch.empty(len(noise))
        kernels.draw(
            self._head(hidden).numpy(), noise, self._row_temperatures, tokens.numpy(), logprobs.numpy()
        )
        return tokens, logprobs

    def decode(self, tokens: Int[Tensor, "rows"], written: Ints) -> Float[Tensor, "rows width"]:
        """Hidden states after `tokens`."""
        assert self._frame is not None  # the batch was arranged
        f, eps, slots = self._frame, self._eps, self._slots
        normed = f.normed.tensor
        positions = self._prefix_lengths + written
        torch.index_select(self._embedding, 0, tokens, out=f.x.tensor)
        added = _NOTHING
        for index, layer in enumerate(self._layers):
            qkv, out, gate_up, down = layer.linears
            kernels.add_and_norm(f.x.array, added, layer.before_attention, eps, f.normed.array)
            heads = qkv(normed).numpy().reshape(self._heads)
            kernels.turn_and_store(
                heads, layer.head_norms, eps, layer.cos, layer.sin, positions, slots, written,
                layer.keys, layer.values, f.at, f.stride, self._scale, f.queries.array,
            )  # fmt: skip
            for part in f.parts:
                keys, values = part.block.keys_values[index]
                shared, lse = _flash(part.queries, keys, values, attn_mask=part.bias, scale=1.0)
                part.shared.copy_(shared)
                part.lse.copy_(lse)
            kernels.merge_own(
                f.queries.array, f.shared.array, f.lse.array, f.at, f.stride,
                layer.keys, layer.values, slots, written, f.attended_heads,
            )  # fmt: skip
            added = out(f.attended.tensor).numpy()
            kernels.add_and_norm(f.x.array, added, layer.before_mlp, eps, f.normed.array)
            kernels.silu_gate(gate_up(normed).numpy(), f.gated.array)
            added = down(f.gated.tensor).numpy()
        kernels.add_and_norm(f.x.array, added, self._last_norm, eps, f.normed.array)
        return normed


def _array(weight: Any) -> Floats:
    array: Floats = weight.detach().numpy()
    return array
