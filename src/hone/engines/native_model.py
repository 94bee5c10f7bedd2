"""The forward pass of Llama-family decoders, on the weights of the Hugging Face module where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hone.core.errors import EngineError
from hone.engines.attention import PrefixBlock, PrefixPlan, causal_attention, decode_attention
from hone.engines.cache import SuffixView
from hone.engines.norms import Norm
from hone.engines.weights import ComputeWeights

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from hone.kernels.products import Matrices

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")


def unsupported(model: Any) -> str | None:
    """Why `model` cannot be served here, or None if it can."""
    config = model.config
    if config.model_type not in FAMILIES:
        return f"models of type `{config.model_type}` are not of the Llama family ({', '.join(FAMILIES)})"
    if type(model).__name__ != f"{type(model.model).__name__.removesuffix('Model')}ForCausalLM":
        return f"`{type(model).__name__}` is not a plain causal language model"
    layers = getattr(config, "layer_types", None) or []
    windows = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    if any(kind != "full_attention" for kind in layers) or (not layers and windows):
        return "it uses sliding-window attention"
    if model.model.rotary_emb.rope_type in ("longrope", "dynamic"):
        return "its rotary embedding changes with the length of the text"
    for name, module in model.model.layers.named_modules():
        if name.endswith("_proj") and type(module) is not nn.Linear:
            return f"`{name}` is a {type(module).__name__}, not a plain linear layer"
    kinds = {(p.dtype, p.device) for p in model.parameters()}
    if len(kinds) > 1:
        return "its weights have several dtypes or devices"
    return None


def _fuse(parameters: Sequence[nn.Parameter | None]) -> Tensor | None:
    """One tensor of which `parameters` are consecutive rows, each viewing its own part of it.

    Parameters stay the objects they are, so optimizers and `load_state_dict` that write in place write into
    it.
    """
    present = [p for p in parameters if p is not None]
    if not present:
        return None
    if len(present) < len(parameters):
        raise EngineError(
            "Some of the projections to be fused have a bias and some have none.", "Use transformers."
        )
    base = present[0]
    fused = (
        base.data.as_strided((sum(len(p) for p in present), *base.shape[1:]), base.stride())
        if _in_one(present)
        else None
    )
    if fused is None:
        fused = torch.cat([p.data for p in present])
        for p, part in zip(present, fused.split([len(p) for p in present])):
            p.data = part
    if not _in_one(present):
        raise EngineError(
            "Fused projections no longer view the model's weights.", "Report this: it is a bug."
        )
    return fused


def _in_one(parameters: Sequence[Tensor]) -> bool:
    """Whether the tensors lie behind one another in one storage."""
    first = parameters[0]
    storage, place = first.untyped_storage().data_ptr(), first.data_ptr()
    for p in parameters:
        if p.untyped_storage().data_ptr() != storage or p.data_ptr() != place or not p.is_contiguous():
            return False
        place += p.nbytes
    return True


def _add_linear(residual: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`residual` with a linear layer's output added in place, in the matrix product itself where dtypes agree."""
    if x.dtype != residual.dtype:
        return residual.add_(F.linear(x, weight, bias))
    residual.addmm_(x, weight.t())
    return residual if bias is None else residual.add_(bias)


@dataclass(frozen=True)
class _LayerNorms:
    before_attention: Norm
    heads: Norm | None  # of queries and keys
    before_mlp: Norm


@dataclass(frozen=True)
class LayerWeights:
    """The matrices of one layer in the compute dtype; the projections that read the same input are one."""

    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    out_bias: Tensor | None
    gate_up: Tensor
    gate_up_bias: Tensor | None
    down: Tensor
    down_bias: Tensor | None


class NativeModel:
    """Prefill and decoding for one Hugging Face module. Call under `torch.inference_mode`, after `refresh`.

    Matrix products and attention run in `dtype`: the weights' own, or `autocast`. What the trainer's autocast
    leaves in the weights' dtype stays so here: the residual stream, norms and rotations.
    """

    def __init__(self, model: Any, autocast: torch.dtype | None = None) -> None:
        self.model = model
        self._autocast = autocast
        self.version = 0  # of the weights that were taken last
        self.laid_out: Matrices | None = None  # `matrices`, once a CPU's decode steps have laid them out,
        self.must_lay_out = True  # which they do again after a refresh
        self._compute: ComputeWeights | None = None
        self._norms: list[_LayerNorms] = []
        self._last_norm: Norm
        attention = model.model.layers[0].self_attn
        self.num_layers = len(model.model.layers)
        self.head_dim: int = attention.head_dim
        self.num_heads: int = model.config.num_attention_heads
        self.num_kv: int = model.config.num_key_value_heads
        self.scale: float = attention.scaling
        # SmolLM3 leaves the rotary embedding out of every fourth layer.
        self.rotates = [getattr(layer.self_attn, "use_rope", True) for layer in model.model.layers]

    def refresh(self, version: int = 0) -> None:
        """Take the weights, which are at `version`.

        The projections to be fused become one tensor each, which the module's own parameters are checked to
        view. Where the compute dtype is another one, that tensor is copied.
        """
        base = self.model.model
        self.device = base.embed_tokens.weight.device
        residual_dtype = base.embed_tokens.weight.dtype
        self.dtype: torch.dtype = self._autocast or residual_dtype
        if self._compute is None or self._compute.dtype != self.dtype:
            self._compute = ComputeWeights(self.dtype)
        take = self._compute.take
        self.layers: list[LayerWeights] = []
        with torch.no_grad():
            for index, layer in enumerate(base.layers):
                a, m = layer.self_attn, layer.mlp
                parts = {
                    "qkv": (a.q_proj, a.k_proj, a.v_proj),
                    "out": (a.o_proj,),
                    "gate_up": (m.gate_proj, m.up_proj),
                    "down": (m.down_proj,),
                }
                taken: dict[str, Any] = {}
                for name, modules in parts.items():
                    for kind in ("weight", "bias"):
                        key = name if kind == "weight" else f"{name}_bias"
                        fused = _fuse([getattr(module, kind) for module in modules])
                        taken[key] = None if fused is None else take(f"{index}.{key}", fused)
                self.layers.append(LayerWeights(**taken))
            head = self.model.lm_head
            self.head = take("head", head.weight.data)
            self.head_bias = None if head.bias is None else take("head_bias", head.bias.data)
            self._take_norms()
        table = getattr(self, "_cos", None)
        if table is None or table.dtype != residual_dtype or table.device != self.device:
            self._cos = self._sin = torch.empty(0, self.head_dim, dtype=residual_dtype, device=self.device)
        self.must_lay_out = True
        self.version = version

    def matrices(self) -> list[tuple[Tensor, Tensor | None]]:
        """Matrices and biases: qkv, out, gate_up and down of layer after layer, then the head."""
        names = "qkv", "out", "gate_up", "down"
        layers = [
            (getattr(layer, name), getattr(layer, f"{name}_bias")) for layer in self.layers for name in names
        ]
        return [*layers, (self.head, self.head_bias)]

    def _take_norms(self) -> None:
        """The norms with their present weights, in the storage that they have."""
        if self._norms and self._last_norm.weight.device == self.device:
            for norm in self._all_norms():
                norm.refresh()
            return
        self._last_norm = Norm(self.model.model.norm)
        self._norms = []
        for layer in self.model.model.layers:
            a, heads = layer.self_attn, None
            if hasattr(a, "q_norm"):
                heads = Norm(a.q_norm, a.k_norm, counts=(self.num_heads, self.num_kv))
            norms = Norm(layer.input_layernorm), heads, Norm(layer.post_attention_layernorm)
            self._norms.append(_LayerNorms(*norms))

    def _all_norms(self) -> list[Norm]:
        found = [norm for norms in self._norms for norm in vars(norms).values() if norm is not None]
        return [*found, self._last_norm]

    def addresses(self) -> tuple[int, ...]:
        """Where everything that decoding reads lies. Training in place and `refresh` leave it there."""
        weights = [weight for layer in self.layers for weight in vars(layer).values()]
        norms = [norm.weight for norm in self._all_norms()]
        tensors = [
            *weights,
            *norms,
            self.head,
            self.head_bias,
            self._cos,
            self._sin,
            *self.model.model.parameters(),
        ]
        return tuple(tensor.data_ptr() for tensor in tensors if tensor is not None)

    def prepare(self, length: int) -> None:
        """Tabulate the module's own rotary embedding for positions below `length`."""
        if len(self._cos) < length:
            positions = torch.arange(length, device=self.device)[None]
            cos, sin = self.model.model.rotary_emb(self._cos, positions)
            # The rotation is x cos + (-x2, x1) sin; with the sign in the table, halves only change places.
            half = self.head_dim // 2
            self._cos, self._sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)

    def rotary(self, positions: Int[Tensor, "N"]) -> tuple[Float[Tensor, "N D"], Float[Tensor, "N D"]]:
        """Cosines and sines of positions; the first half of the sines is negated."""
        return self._cos[positions], self._sin[positions]

    def rotary_table(self, index: int) -> tuple[Float[Tensor, "T D"], Float[Tensor, "T D"]]:
        """Cosines and sines of all positions that are prepared; without columns for a layer that does not rotate."""
        if self.rotates[index]:
            return self._cos, self._sin
        return self._cos[:, :0], self._sin[:, :0]

    def logits(self, hidden: Float[Tensor, "rows width"]) -> Float[Tensor, "rows vocabulary"]:
        """Next-token logits of last hidden states."""
        return F.linear(hidden, self.head, self.head_bias)

    def project(
        self, index: int, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Float[Tensor, "N H D"], Float[Tensor, "N 2 Hkv D"]]:
        """Rotated queries of a layer, and its rotated keys with its values, of normed states `x`."""
        weights, head_norm = self.layers[index], self._norms[index].heads
        heads = F.linear(x.to(self.dtype), weights.qkv, weights.qkv_bias).view(len(x), -1, self.head_dim)
        turned = self.num_heads + self.num_kv
        qk = heads[:, :turned]
        if head_norm is not None:
            qk = head_norm(qk)
        if self.rotates[index]:
            first, second = qk.chunk(2, -1)
            swapped = torch.cat([second, first], -1)
            qk = (qk * cos.unsqueeze(1)).addcmul_(swapped, sin.unsqueeze(1))
        qk = qk.to(self.dtype)
        return qk[:, : self.num_heads], torch.stack([qk[:, self.num_heads :], heads[:, turned:]], 1)

    def _finish(self, index: int, residual: Tensor, attended: Tensor) -> Tensor:
        """Output projection, residual and feed-forward part of a layer; `residual` is written to."""
        layer, weights = self.model.model.layers[index], self.layers[index]
        residual = _add_linear(residual, attended, weights.out, weights.out_bias)
        normed = self._norms[index].before_mlp(residual).to(self.dtype)
        gate, up = F.linear(normed, weights.gate_up, weights.gate_up_bias).chunk(2, -1)
        return _add_linear(residual, layer.mlp.act_fn(gate).mul_(up), weights.down, weights.down_bias)

    def prefill(self, prefixes: Sequence[npt.NDArray[np.int32]]) -> PrefixBlock:
        """Keys and values of prefixes of similar length, padded to the longest, and their last hidden states."""
        lengths = np.array([len(p) for p in prefixes])
        rows, longest = len(prefixes), int(lengths.max())
        tokens = np.zeros((rows, longest), np.int64)
        real = np.arange(longest) < lengths[:, None]
        tokens[real] = np.concatenate(prefixes)
        x = self.model.model.embed_tokens(torch.from_numpy(tokens.reshape(-1)).to(self.device))
        cos, sin = self._cos[:longest].repeat(rows, 1), self._sin[:longest].repeat(rows, 1)
        shape = (self.num_layers, 2, rows, self.num_kv, longest, self.head_dim)
        stored = x.new_empty(shape, dtype=self.dtype)
        for index in range(self.num_layers):
            q, kv = self.project(index, self._norms[index].before_attention(x), cos, sin)
            stored[index] = kv.view(rows, longest, 2, self.num_kv, self.head_dim).permute(2, 0, 3, 1, 4)
            attended = causal_attention(q, kv[:, 0], kv[:, 1], rows, self.scale)
            x = self._finish(index, x, attended.flatten(1))
        last = torch.from_numpy(np.arange(rows) * longest + lengths - 1).to(self.device)
        bias = None
        if not real.all():
            bias = torch.zeros(rows, 1, 1, longest).masked_fill(
                ~torch.from_numpy(real)[:, None, None], -torch.inf
            )
            bias = bias.to(self.device, self.dtype)
        return PrefixBlock(stored, bias, self._last_norm(x[last]).to(self.dtype), lengths)

    def decode(
        self,
        tokens: Int[Tensor, "rows"],
        positions: Int[Tensor, "rows"],
        cache: SuffixView,
        bias: Float[Tensor, "rows*Hkv 1 used"] | None,
        plan: PrefixPlan,
    ) -> Float[Tensor, "rows width"]:
        """Last hidden states after one more token per row, which stands at `positions[i]` of the whole text."""
        x = self.model.model.embed_tokens(tokens)
        cos, sin = self.rotary(positions)
        for index in range(self.num_layers):
            q, kv = self.project(index, self._norms[index].before_attention(x), cos, sin)
            cache.rows[index].index_copy_(0, cache.place, kv.view(-1, self.head_dim))
            own = cache.keys[index], cache.values[index]
            x = self._finish(index, x, decode_attention(q, *own, bias, index, plan, self.scale))
        return self._last_norm(x).to(self.dtype)
