"""What a static decode step reads and writes: device memory of fixed shape, and the sizes that it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hone.core.sampling import SamplingParams
from hone.kernels.decode_tiles import MOST_QUERIES, Tiles, power_of_two

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

CONTEXT_STEP = 256  # lengths that bound the work of a step are rounded up to its multiples


@dataclass(frozen=True)
class StepShape:
    """Everything that the operations of a step depend on besides the contents of device memory."""

    rows: int  # of the batch, live ones and padding
    tiles: int
    tile_rows: int
    prefix: int  # bounds the prefixes
    suffix: int  # bounds the rows' own tokens after the step
    slots: int  # of the suffix cache, the spare one included
    places: int  # of a slot of the suffix cache
    truncates: bool  # whether some row's sampler excludes tokens by how likely they are
    restricts: bool  # whether some row has an action space


def round_rows(rows: int) -> int:
    """The batch size that serves `rows`: few sizes, so that few steps are captured, with at most half of them idle."""
    if rows <= 32:
        return power_of_two(rows)
    step = 32 if rows <= 128 else 64 if rows <= 512 else 128
    return round_up(rows, step)


def round_up(size: int, step: int) -> int:
    """The least multiple of `step` that is at least `size`."""
    return -(-size // step) * step


@dataclass(frozen=True)
class SlotState:
    """The rollout in each slot. The last slot is spare: rows of the batch that pad it live there, ended for ever."""

    hidden: Float[Tensor, "slots hidden"]  # predicts the next token
    noise: Float[Tensor, "slots W"]
    tokens: Int[Tensor, "slots W"]
    logprobs: Float[Tensor, "slots W"]
    length: Int[Tensor, "slots"]  # tokens sampled so far
    limit: Int[Tensor, "slots"]  # tokens it may sample
    ended: Bool[Tensor, "slots"]  # by an end token or its limit
    prefix_length: Int[Tensor, "slots"]
    temperature: Float[Tensor, "slots"]
    greedy: Bool[Tensor, "slots"]
    top_k: Int[Tensor, "slots"]
    top_p: Float[Tensor, "slots"]
    min_p: Float[Tensor, "slots"]
    kind: Int[Tensor, "slots"]  # which of the call's sampler settings these are

    @staticmethod
    def empty(slots: int, width: int, hidden: int, dtype: torch.dtype, device: torch.device) -> SlotState:
        """Slots that have all ended, for at most `width` tokens each."""

        def zeros(*shape: int, kind: torch.dtype = torch.int64) -> Tensor:
            return torch.zeros(*shape, dtype=kind, device=device)

        return SlotState(
            hidden=zeros(slots, hidden, kind=dtype),
            noise=zeros(slots, width, kind=torch.float64),
            tokens=zeros(slots, width, kind=torch.int32),
            logprobs=zeros(slots, width, kind=torch.float32),
            length=zeros(slots),
            limit=zeros(slots),
            ended=zeros(slots, kind=torch.bool).fill_(True),
            prefix_length=zeros(slots),
            temperature=zeros(slots, kind=torch.float64).fill_(1.0),
            greedy=zeros(slots, kind=torch.bool),
            top_k=zeros(slots),
            top_p=zeros(slots, kind=torch.float64).fill_(1.0),
            min_p=zeros(slots, kind=torch.float64),
            kind=zeros(slots),
        )

    def retire(self, slot: int) -> None:
        """Make `slot` spare."""
        self.ended[slot] = True
        for column in (self.length, self.limit, self.prefix_length, self.kind):
            column[slot] = 0

    def admit(
        self,
        slots: Tensor,
        hidden: Tensor,
        noise: Tensor,
        prefix_length: Tensor,
        params: Sequence[SamplingParams],
        kinds: Tensor,
    ) -> None:
        """Put fresh rollouts into `slots`; the i-th has `noise[i]` and is sampled under `params[i]`, the call's setting
        number `kinds[i]`."""

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64).to(slots.device)

        self.hidden[slots] = hidden
        self.noise[slots, : noise.shape[1]] = noise
        self.logprobs[slots] = 0.0  # what is read past a rollout's end must not look like a fault
        self.length[slots] = 0
        self.ended[slots] = False
        self.prefix_length[slots] = prefix_length
        self.limit[slots] = column([p.max_tokens for p in params]).long()
        self.temperature[slots] = column([p.temperature or 1.0 for p in params])
        self.greedy[slots] = column([p.temperature for p in params]) == 0
        self.top_k[slots] = column([p.top_k for p in params]).long()
        self.top_p[slots] = column([p.top_p for p in params])
        self.min_p[slots] = column([p.min_p for p in params])
        self.kind[slots] = kinds


@dataclass(frozen=True)
class BatchTables:
    """The present batch: the slot of each row, and the tiles of rows that share a prefix."""

    slots: Int[Tensor, "rows"]
    tile_rows: Int[Tensor, "cells"]  # int32, the cells of all tiles one after another
    tile_base: Int[Tensor, "tiles"]
    tile_length: Int[Tensor, "tiles"]

    @staticmethod
    def empty(rows: int, device: torch.device) -> BatchTables:
        """Tables for `rows` rows, each of which may need a tile of its own."""
        tiles = power_of_two(rows)
        return BatchTables(
            torch.zeros(rows, dtype=torch.int64, device=device),
            torch.zeros(tiles * MOST_QUERIES, dtype=torch.int32, device=device),
            torch.zeros(tiles, dtype=torch.int64, device=device),
            torch.zeros(tiles, dtype=torch.int64, device=device),
        )

    def tiles(self, shape: StepShape) -> Tiles:
        """The tiles of a step."""
        rows = self.tile_rows[: shape.tiles * shape.tile_rows].view(shape.tiles, shape.tile_rows)
        return Tiles(rows, self.tile_base[: shape.tiles], self.tile_length[: shape.tiles])


def addresses(*holders: object) -> tuple[int, ...]:
    """Where the tensors of dataclasses lie: a captured step is good for as long as they lie there."""
    found = [getattr(holder, field.name) for holder in holders for field in fields(holder)]  # type: ignore[arg-type]
    return tuple(value.data_ptr() for value in found if isinstance(value, Tensor))
