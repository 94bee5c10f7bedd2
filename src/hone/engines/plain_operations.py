"""The operations of a static decode step in plain torch, for devices and dtypes without Triton kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hone.engines.native_model import NativeModel
from hone.engines.norms import module_norm
from hone.engines.sampler import RowSettings, draw
from hone.engines.static_step import StepInputs


def _part(q: Tensor, keys: Tensor, values: Tensor, real: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention `[X, Hkv, Q, D]` of `q` to the keys `[X, Hkv, L, D]` that are `real[X, L]`, with its log-sum-exp."""
    real = real[:, None, None]
    scores = (q @ keys.transpose(-1, -2)).to(torch.promote_types(q.dtype, torch.float32)) * scale
    scores = scores.masked_fill(~real, -torch.inf)
    lse = scores.logsumexp(-1)
    # Of no keys at all the log-sum-exp is -inf and the output must be a number.
    weights = (scores - lse.masked_fill(lse == -torch.inf, 0.0)[..., None]).exp()
    return weights @ values.to(weights.dtype).masked_fill(~real.transpose(-1, -2), 0.0), lse


class PlainOperations:
    """Operations of `model` that run on every device."""

    def __init__(self, model: NativeModel) -> None:
        self._model = model

    def norm(self, x: Tensor, added: Tensor | None, module: Any) -> tuple[Tensor, Tensor]:
        """`x + added`, and its RMS norm in the compute dtype."""
        if added is not None:
            x = x + added
        return x, module_norm(x, module).to(self._model.dtype)

    def project(self, index: int, normed: Tensor, now: StepInputs) -> Tensor:
        """Rotated queries of a layer; its keys and values are written to the rows' places."""
        q, kv = self._model.project(index, normed, now.cos, now.sin)
        now.suffixes[index][:, now.slots, :, now.places] = kv
        return q

    def attend(self, index: int, q: Tensor, now: StepInputs) -> Tensor:
        """Attention of the new tokens to their prefixes and to their rows' own tokens."""
        model, tiles, shape = self._model, now.tiles, now.shape
        rows, num_kv, dim = len(q), model.num_kv, model.head_dim
        prefixes, suffixes = now.prefixes[index], now.suffixes[index]

        place = torch.arange(min(shape.prefix, prefixes.shape[2]), device=q.device)
        keys, values = prefixes[
            :, :, (tiles.base[:, None] + place).clamp(max=prefixes.shape[2] - 1)
        ].transpose(1, 2)
        folded = q[tiles.rows.clamp(min=0)].view(len(tiles.rows), -1, num_kv, model.num_heads // num_kv, dim)
        shared, shared_lse = _part(
            folded.transpose(1, 2).flatten(2, 3), keys, values, place < tiles.length[:, None], model.scale
        )
        # Cells that hold no row are gathered behind the last row.
        row_of = torch.where(tiles.rows < 0, rows, tiles.rows).long().reshape(-1)
        cell_of = row_of.new_zeros(rows + 1).scatter_(0, row_of, torch.arange(len(row_of), device=q.device))[
            :rows
        ]
        shape_of_cells = len(tiles.rows), num_kv, shape.tile_rows, -1
        shared = shared.view(*shape_of_cells, dim).transpose(1, 2).flatten(0, 1)[cell_of]
        shared_lse = shared_lse.view(shape_of_cells).transpose(1, 2).flatten(0, 1)[cell_of]

        place = torch.arange(min(shape.suffix, shape.places), device=q.device)
        keys, values = suffixes[:, now.slots, :, : len(place)]
        own, own_lse = _part(
            q.view(rows, num_kv, -1, dim), keys, values, place < now.used[:, None], model.scale
        )
        lse = torch.logaddexp(shared_lse, own_lse)
        merged = shared * (shared_lse - lse).exp()[..., None] + own * (own_lse - lse).exp()[..., None]
        return merged.to(q.dtype).view(rows, -1, dim)

    def activate(self, index: int, gate_up: Tensor) -> Tensor:
        """The gated activation of a layer."""
        gate, up = gate_up.chunk(2, -1)
        out: Tensor = self._model.model.model.layers[index].mlp.act_fn(gate) * up
        return out

    def draw(self, logits: Tensor, uniforms: Tensor, rows: RowSettings) -> tuple[Tensor, Tensor]:
        """Tokens and logprobs by the plain sampler."""
        return draw(logits, uniforms, rows)
