"""Decode steps by compiled kernels, on a CPU in float32: one launch a layer, each row attending to its own length.

Rows keep their slots for good, so that nothing is copied when others end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hone.core.sampling import SamplingParams
from hone.engines.attention import Found, PrefixBlock
from hone.engines.cache import CACHE_SHARE, SuffixCache, memory_bytes
from hone.engines.native_model import NativeModel
from hone.engines.plain_steps import NEW
from hone.engines.sampler import draw, settings
from hone.kernels import layers_numba as kernels
from hone.kernels import numba_jit
from hone.kernels.products import lay_out

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
FLOAT = 4  # bytes
PLANNED = 0.5  # the least share of the rows that a plan was made for that it is kept for
MOST_QUERIES = 64  # that read a prefix in one go: their scores stay in the processor's cache


def place_of(block: PrefixBlock, index: int) -> tuple[int, int, int, int, int]:
    """Where a prefix's keys lie: their address, bytes to the values, to the next head and layer, and their length."""
    stored = block.keys_values
    assert stored.is_contiguous()
    to_layer, to_values, to_prefix, to_head = (FLOAT * step for step in stored.stride()[:4])
    return stored.data_ptr() + index * to_prefix, to_values, to_head, to_layer, int(block.lengths[index])


def plan_units(prefixes: Ints, num_kv: int, rep: int, dim: int) -> tuple[Ints, Ints, Ints]:
    """The units of `kernels.attend_prefixes`, and each row's `at` and `stride` among the queries.

    `prefixes[rows, 5]` are the rows' `place_of`; `rep` query heads share a key-value head. The queries of a prefix lie
    together, those of a key-value head first.
    """
    order = np.argsort(prefixes[:, 0], kind="stable")
    ranked = prefixes[order]
    starts = np.flatnonzero(np.diff(ranked[:, 0], prepend=-1))  # where another prefix begins
    sizes = np.diff(starts, append=len(order))
    at, stride = np.empty((2, len(order)), np.int64)
    member = np.arange(len(order)) - np.repeat(starts, sizes)
    at[order] = (np.repeat(starts, sizes) * num_kv + member) * rep * dim
    stride[order] = np.repeat(sizes, sizes) * rep * dim
    # A unit for every piece of the queries of every head of every prefix.
    pieces = -(-sizes * rep // MOST_QUERIES)
    of = np.repeat(np.arange(len(sizes)), pieces * num_kv)
    head, piece = np.divmod(np.arange(len(of)) - np.searchsorted(of, of), pieces[of])
    address, to_values, to_head, to_layer, length = ranked[starts[of]].T
    begin = piece * MOST_QUERIES
    units = np.empty((len(of), 6), np.int64)
    units[:, 0] = address + head * to_head
    units[:, 1] = units[:, 0] + to_values
    units[:, 2], units[:, 3] = to_layer, length
    units[:, 4] = (starts[of] * num_kv + head * sizes[of]) * rep + begin
    units[:, 5] = np.minimum(sizes[of] * rep - begin, MOST_QUERIES)
    return units, at, stride


class CompiledSteps:
    """Steps of `model` on `cache`, for rollouts sampled under `params`. Make it anew for every call of the engine."""

    _found: Found  # blocks of the plan, whose addresses it holds

    def __init__(self, model: NativeModel, cache: SuffixCache, params: Sequence[SamplingParams]) -> None:
        numba_jit.prepare()
        self._model = model
        self._table = settings(params, model.device)
        self._truncates = any(p.truncates for p in params)
        self._temperatures = np.array([p.temperature for p in params], np.float32)
        base = model.model.model
        self._eps, self._scale = np.float32(base.norm.variance_epsilon), np.float32(model.scale)
        self._embedding = _array(base.embed_tokens.weight)
        self._last_norm = _array(base.norm.weight)
        weights, biases = zip(*model.matrices())
        if model.laid_out is None or model.must_lay_out:
            budget = int(CACHE_SHARE * memory_bytes(model.device))
            model.laid_out, model.must_lay_out = lay_out(weights, budget, model.laid_out), False
        none = torch.empty(0)
        self._kind, matrices = model.laid_out.kind, model.laid_out.flat
        linears = matrices, [_array(none if bias is None else bias) for bias in biases]
        self._head = [each[-1] for each in linears]
        self._layers = [
            self._layer(index, cache.tensor[index], *(each[4 * index : 4 * index + 4] for each in linears))
            for index in range(model.num_layers)
        ]
        slots, heads, dim = cache.tensor.shape[2], model.num_heads, model.head_dim
        layer = model.layers[0]
        width, inner = layer.down.shape
        sizes = width, width, width, len(layer.qkv), heads * dim, len(layer.gate_up), inner
        self._buffers = [torch.zeros(slots, size) for size in sizes]
        self._all_logits = torch.empty(slots, len(model.head))  # numpy's arrays are not aligned
        self._flat = tuple(torch.zeros(slots * heads * size).numpy() for size in (dim, dim, 1))
        self._slots: Ints = np.arange(slots)  # of each row
        self._prefixes: Ints = np.zeros((slots, 5), np.int64)  # of each row
        self._planned = 0  # rows that the plan was made for

    def _layer(
        self,
        index: int,
        cache: Float[Tensor, "2 slots Hkv T D"],
        matrices: Sequence[Floats],
        biases: Sequence[Floats],
    ) -> tuple[tuple[Floats, ...], ...]:
        """What `kernels.layer` takes of one layer: vectors and matrices, tables, keys and values."""
        model = self._model
        layer = model.model.model.layers[index]
        attention, turned = layer.self_attn, model.num_heads + model.num_kv
        norms = np.empty((turned, 0), np.float32)
        if hasattr(attention, "q_norm"):
            each = (attention.q_norm, model.num_heads), (attention.k_norm, model.num_kv)
            norms = np.concatenate([np.tile(_array(norm.weight), (count, 1)) for norm, count in each])
        around = _array(layer.input_layernorm.weight), _array(layer.post_attention_layernorm.weight)
        tables = norms, *(np.ascontiguousarray(table.numpy()) for table in model.rotary_table(index))
        return (*around, *matrices, *biases), tables, (cache[0].numpy(), cache[1].numpy())

    def arrange(self, found: Found, kinds: Ints, was: Ints) -> None:
        """Keep the rows that are left, and plan for them where that saves more than it costs."""
        rows, new, model = len(was), was == NEW, self._model
        self._slots = np.where(new, self._slots[:rows], self._slots[was])
        self._row_settings = self._table.rows(kinds)
        self._row_temperatures = self._temperatures[kinds]
        self._prefixes = self._prefixes[was]
        for row in np.flatnonzero(new).tolist():
            self._prefixes[row] = place_of(*found[row])
        if new.any() or rows < PLANNED * self._planned:
            self._found, self._planned = found, rows
            rep = model.num_heads // model.num_kv
            self._units, self._at, self._stride = plan_units(
                self._prefixes, model.num_kv, rep, model.head_dim
            )
        else:  # what is computed for rows that are gone is waste
            self._at, self._stride = self._at[was], self._stride[was]
        self._rows = tuple(buffer[:rows].numpy() for buffer in self._buffers)
        self._logits, self._normed = self._all_logits[:rows].numpy(), self._buffers[2][:rows]

    def draw(
        self, hidden: Float[Tensor, "rows width"], noise: Float[np.ndarray, "rows"]
    ) -> tuple[Int[np.ndarray, "rows"], Float[np.ndarray, "rows"]]:
        """Tokens and their logprobs, of last hidden states; by torch where some row excludes tokens."""
        if self._truncates:
            drawn, chosen = draw(self._model.logits(hidden), torch.from_numpy(noise), self._row_settings)
            return drawn.numpy(), chosen.numpy()
        tokens, logprobs = np.empty(len(noise), np.int64), np.empty(len(noise), np.float32)
        matrix, bias = self._head
        kernels.linear(hidden.numpy(), matrix, self._kind, bias, self._logits)
        kernels.draw(self._logits, noise, self._row_temperatures, tokens, logprobs)
        return tokens, logprobs

    def decode(self, tokens: Ints, written: Ints) -> Float[Tensor, "rows width"]:
        """Hidden states after `tokens[rows]`."""
        positions = self._prefixes[:, 4] + written
        places = positions, self._slots, written, self._at, self._stride
        np.take(self._embedding, tokens, 0, out=self._rows[0], mode="clip")  # other modes copy
        for index, (weights, tables, cache) in enumerate(self._layers):
            kernels.layer(
                weights, tables, cache, self._flat, places, self._units, self._rows, index, self._kind, self._eps,
                self._scale,
            )  # fmt: skip
        x, added, normed, *_ = self._rows
        kernels.add_and_norm(x, added, self._last_norm, self._eps, normed)
        return self._normed


def _array(weight: Any) -> Floats:
    array: Floats = weight.detach().numpy()
    return array
