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
from hone.engines.norms import Norm, norm

if TYPE_CHECKING:
    from jaxtyping import Float, Int

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


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
    if model.model.rotary_emb.rope_type == "longrope":
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


def _cache_rows(written: Tensor, slots: int, num_kv: int, places: int) -> Int[Tensor, "rows*2*Hkv"]:
    """Where row i's keys and values go in a layer's cache `[2, slots, Hkv, places, D]` seen as rows of D."""
    rows = torch.arange(len(written), device=written.device)
    halves = torch.arange(2, device=written.device)[:, None] * slots
    slot = (rows[:, None, None] + halves) * num_kv + torch.arange(num_kv, device=written.device)
    return (slot * places + written[:, None, None]).flatten()


def _add_linear(residual: Tensor, x: Tensor, layer: nn.Linear) -> Tensor:
    """`residual` with `layer(x)` added in place, in the matrix product itself."""
    residual.addmm_(x, layer.weight.t())
    return residual if layer.bias is None else residual.add_(layer.bias)


@dataclass(frozen=True)
class _Fused:
    qkv: Tensor
    qkv_bias: Tensor | None
    gate_up: Tensor
    gate_up_bias: Tensor | None
    before_attention: Norm
    heads: Norm | None  # of queries and keys
    before_mlp: Norm


class NativeModel:
    """Prefill and decoding for one Hugging Face module. Call under `torch.inference_mode`, after `refresh`."""

    def __init__(self, model: Any) -> None:
        self.model = model
        attention = model.model.layers[0].self_attn
        self.num_layers = len(model.model.layers)
        self.head_dim: int = attention.head_dim
        self.num_heads: int = model.config.num_attention_heads
        self.num_kv: int = model.config.num_key_value_heads
        self.scale: float = attention.scaling

    def refresh(self) -> None:
        """Make the fused projections one tensor each, and check that the module's own parameters view it."""
        self._fused: list[_Fused] = []
        with torch.no_grad():
            for layer in self.model.model.layers:
                a, m = layer.self_attn, layer.mlp
                qkv = _fuse([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight])
                gate_up = _fuse([m.gate_proj.weight, m.up_proj.weight])
                assert qkv is not None and gate_up is not None  # a linear layer has a weight
                biases = [
                    _fuse([x.bias for x in part])
                    for part in ((a.q_proj, a.k_proj, a.v_proj), (m.gate_proj, m.up_proj))
                ]
                heads = None
                if hasattr(a, "q_norm"):
                    heads = norm(a.q_norm, a.k_norm, counts=(self.num_heads, self.num_kv))
                norms = norm(layer.input_layernorm), heads, norm(layer.post_attention_layernorm)
                self._fused.append(_Fused(qkv, biases[0], gate_up, biases[1], *norms))
        self._last = norm(self.model.model.norm)
        self.device = self._fused[0].qkv.device
        self.dtype = self._fused[0].qkv.dtype
        empty = self._fused[0].qkv.new_empty(0, self.head_dim)
        self._cos, self._sin = empty, empty

    def prepare(self, length: int) -> None:
        """Tabulate the module's own rotary embedding for positions below `length`."""
        if len(self._cos) < length:
            positions = torch.arange(length, device=self.device)[None]
            cos, sin = self.model.model.rotary_emb(self._cos, positions)
            # The rotation is x cos + (-x2, x1) sin; with the sign in the table, halves only change places.
            half = self.head_dim // 2
            self._cos, self._sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)

    def logits(self, hidden: Float[Tensor, "rows width"]) -> Float[Tensor, "rows vocabulary"]:
        """Next-token logits of last hidden states."""
        out: Tensor = self.model.lm_head(hidden)
        return out

    def _project(
        self, index: int, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Float[Tensor, "N H D"], Float[Tensor, "N 2 Hkv D"]]:
        """Rotated queries of a layer, and its rotated keys with its values, from the residual stream `x`."""
        fused = self._fused[index]
        x = fused.before_attention(x)
        heads = F.linear(x, fused.qkv, fused.qkv_bias).view(len(x), -1, self.head_dim)
        turned, half = self.num_heads + self.num_kv, self.head_dim // 2
        qk = heads[:, :turned]
        if fused.heads is not None:
            qk = fused.heads(qk)
        swapped = torch.cat([qk[..., half:], qk[..., :half]], -1)
        qk = torch.mul(qk, cos[:, None]).addcmul_(swapped, sin[:, None])
        return qk[:, : self.num_heads], torch.stack([qk[:, self.num_heads :], heads[:, turned:]], 1)

    def _finish(self, index: int, residual: Tensor, attended: Tensor) -> Tensor:
        """Output projection, residual and feed-forward part of a layer; `residual` is written to."""
        layer, fused = self.model.model.layers[index], self._fused[index]
        residual = _add_linear(residual, attended, layer.self_attn.o_proj)
        gate, up = F.linear(fused.before_mlp(residual), fused.gate_up, fused.gate_up_bias).chunk(2, -1)
        return _add_linear(residual, layer.mlp.act_fn(gate).mul_(up), layer.mlp.down_proj)

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
        stored = x.new_empty(shape)
        for index in range(self.num_layers):
            q, kv = self._project(index, x, cos, sin)
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
        return PrefixBlock(stored, bias, self._last(x[last]), lengths)

    def decode(
        self,
        tokens: Int[Tensor, "rows"],
        written: Int[Tensor, "rows"],
        positions: Int[Tensor, "rows"],
        cache: Float[Tensor, "layers 2 slots Hkv T D"],
        used: int,
        bias: Float[Tensor, "rows*Hkv 1 used"] | None,
        plan: PrefixPlan,
    ) -> Float[Tensor, "rows width"]:
        """Last hidden states after one more token per row.

        Row i's keys and values are written to `cache[:, :, i, :, written[i]]`; its token stands at
        `positions[i]` of the whole text. Attention reads the first `used` places of the cache.
        """
        rows, slots = len(tokens), cache.shape[2]
        x = self.model.model.embed_tokens(tokens)
        cos, sin = self._cos[positions], self._sin[positions]
        where = _cache_rows(written, slots, self.num_kv, cache.shape[4])
        for index in range(self.num_layers):
            q, kv = self._project(index, x, cos, sin)
            cache[index].view(-1, self.head_dim).index_copy_(0, where, kv.view(-1, self.head_dim))
            own = cache[index][:, :rows, :, :used]
            x = self._finish(index, x, decode_attention(q, own, bias, index, plan, self.scale))
        return self._last(x)
