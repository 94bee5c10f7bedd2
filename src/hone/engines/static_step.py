"""One decode step without any host data: draw a token for every row, append it, and compute what follows it.

A step touches device memory alone, so that it can be captured once and replayed: no tensor is made from host
values and none is read back. Its operations depend on a `StepShape` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hone.engines.native_model import NativeModel
from hone.engines.sampler import RowSettings
from hone.engines.static_state import BatchTables, SlotState, StepShape
from hone.kernels.decode_tiles import Tiles

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class StepInputs:
    """What the layers of one step read besides the states of its tokens."""

    slots: Int[Tensor, "rows"]
    places: Int[Tensor, "rows"]  # of the row's slot, where the new token's key and value go
    used: Int[Tensor, "rows"]  # places of the slot that the row attends to
    cos: Float[Tensor, "rows D"]
    sin: Float[Tensor, "rows D"]
    tiles: Tiles
    prefixes: Float[Tensor, "layers 2 Hkv C D"]
    suffixes: Float[Tensor, "layers 2 slots Hkv T D"]
    shape: StepShape


class StepOperations(Protocol):
    """The parts of a step that have both a plain form and kernels of their own."""

    def norm(self, x: Tensor, added: Tensor | None, module: Any) -> tuple[Tensor, Tensor]:
        """`x + added`, and its RMS norm in the compute dtype. May write into `x`."""
        ...

    def project(self, index: int, normed: Tensor, now: StepInputs) -> Float[Tensor, "rows H D"]:
        """Rotated queries of a layer; its keys and values are written to the rows' places."""
        ...

    def attend(self, index: int, q: Tensor, now: StepInputs) -> Float[Tensor, "rows H D"]:
        """Attention of the new tokens to their prefixes and to their rows' own tokens."""
        ...

    def activate(self, index: int, gate_up: Tensor) -> Tensor:
        """The gated activation of a layer."""
        ...

    def draw(self, logits: Tensor, uniforms: Tensor, rows: RowSettings) -> tuple[Tensor, Tensor]:
        """Tokens and logprobs, as `sampler.draw` gives them."""
        ...


def sampler_rows(state: SlotState, slots: Tensor, actions: Tensor, shape: StepShape) -> RowSettings:
    """The sampler settings of rows in `slots`, of which those of kind k have the action space `actions[k]`."""

    def rows(column: Tensor) -> Tensor:
        return column[slots][:, None]

    excludes = shape.truncates
    return RowSettings(
        temperature=rows(state.temperature),
        greedy=rows(state.greedy),
        top_k=rows(state.top_k) if excludes else None,
        top_p=rows(state.top_p) if excludes else None,
        min_p=rows(state.min_p) if excludes else None,
        actions=actions[state.kind[slots]] if shape.restricts else None,
    )


def forward(
    model: NativeModel, ops: StepOperations, tokens: Int[Tensor, "rows"], now: StepInputs
) -> Float[Tensor, "rows width"]:
    """Last hidden states after one more token per row."""
    base = model.model.model
    x = base.embed_tokens(tokens)
    added: Tensor | None = None
    for index, (layer, weights) in enumerate(zip(base.layers, model.layers)):
        x, normed = ops.norm(x, added, layer.input_layernorm)
        q = ops.project(index, normed, now)
        attended = ops.attend(index, q, now).flatten(1)
        x, normed = ops.norm(
            x, F.linear(attended, weights.out, weights.out_bias), layer.post_attention_layernorm
        )
        gated = ops.activate(index, F.linear(normed, weights.gate_up, weights.gate_up_bias))
        added = F.linear(gated, weights.down, weights.down_bias)
    return ops.norm(x, added, base.norm)[1]


def decode_step(
    model: NativeModel,
    ops: StepOperations,
    ends: Bool[Tensor, "vocabulary"],
    state: SlotState,
    tables: BatchTables,
    prefixes: Float[Tensor, "layers 2 Hkv C D"],
    suffixes: Float[Tensor, "layers 2 slots Hkv T D"],
    actions: Int[Tensor, "kinds most"],
    shape: StepShape,
) -> None:
    """One more token for every row that has not ended; one that has steps along on a stray token and keeps nothing."""
    slots = tables.slots[: shape.rows]
    length, ended = state.length[slots], state.ended[slots]
    place = length.clamp(max=shape.places - 1)
    drawn, chosen = ops.draw(
        model.logits(state.hidden[slots]),
        state.noise[slots, place],
        sampler_rows(state, slots, actions, shape),
    )
    tokens = torch.where(ended, state.tokens[slots, place].long(), drawn)
    state.tokens[slots, place] = tokens.to(state.tokens.dtype)
    state.logprobs[slots, place] = torch.where(
        ended, state.logprobs[slots, place], chosen.to(state.logprobs.dtype)
    )
    grown = torch.where(ended, length, length + 1)
    state.length[slots] = grown
    state.ended[slots] = ended | ends[tokens] | (grown >= state.limit[slots])

    positions = state.prefix_length[slots] + place
    cos, sin = model.rotary(positions)
    now = StepInputs(slots, place, place + 1, cos, sin, tables.tiles(shape), prefixes, suffixes, shape)
    state.hidden[slots] = forward(model, ops, tokens, now)
