"""The device side of static decoding: memory of fixed shape, uploads when the batch changes, steps, and looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hone.engines.decoding import Prefix, Work
from hone.engines.native_model import NativeModel
from hone.engines.plain_operations import PlainOperations
from hone.engines.prefix_pool import PrefixPool
from hone.engines.replay import Replay
from hone.engines.sampler import settings
from hone.engines.static_state import (
    CONTEXT_STEP,
    BatchTables,
    SlotState,
    StepShape,
    addresses,
    round_rows,
    round_up,
)
from hone.engines.static_step import StepOperations, decode_step
from hone.kernels.available import has_triton
from hone.kernels.decode_tiles import group_rows, power_of_two, rows_per_tile

KERNEL_CAPABILITY = (8, 0)  # the first GPUs with what the kernels are written for
KERNEL_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Sizes are rounded up to these, so that calls of similar size share captured steps.
SLOTS_STEP, PLACES_STEP, POSITIONS_STEP = 16, 64, 1024


def choose_operations(model: NativeModel) -> StepOperations:
    """Triton's kernels where they can run, else plain torch."""
    served = model.device.type == "cuda" and model.dtype in KERNEL_DTYPES and has_triton()
    if served and torch.cuda.get_device_capability(model.device) >= KERNEL_CAPABILITY:
        from hone.engines.triton_operations import TritonOperations

        return TritonOperations(model)
    return PlainOperations(model)


class StaticBatch:
    """A batch of rollouts in slots. Rows of the batch point to slots, so that they change places without a copy."""

    def __init__(
        self, model: NativeModel, end_tokens: Sequence[int], vocabulary: int, prefix_bytes: int
    ) -> None:
        self._model = model
        ends = torch.zeros(vocabulary, dtype=torch.bool)
        ends[[t for t in end_tokens if t < vocabulary]] = True
        self._ends = ends.to(model.device)
        self._prefix_bytes = prefix_bytes
        self._replay = Replay(self._step, model.device)
        self._kind: tuple[torch.dtype, torch.device] | None = None
        self._addresses: tuple[int, ...] = ()

    def prepare(self, work: Work, slots: int) -> None:
        """Have memory for a call that decodes `slots` rollouts of `work` at once."""
        model, device = self._model, self._model.device
        if self._kind != (model.dtype, device):
            self._kind = (model.dtype, device)
            self._operations = choose_operations(model)
            token_bytes = 2 * model.num_layers * model.num_kv * model.head_dim * model.dtype.itemsize
            self.pool = PrefixPool(
                model.num_layers,
                model.num_kv,
                model.head_dim,
                model.dtype,
                device,
                self._prefix_bytes // token_bytes,
            )
            self._storage = torch.zeros(0, dtype=model.dtype, device=device)
            self._state = SlotState.empty(0, 0, 0, model.dtype, device)
            self._tables = BatchTables.empty(1, device)
            self._actions = torch.zeros(0, 0, dtype=torch.int64, device=device)
        places = round_up(work.width, PLACES_STEP)
        model.prepare(round_up(max(len(p) for p in work.prefixes) + places, POSITIONS_STEP))
        self.pool.reserve(work.prefixes)
        self._spare = round_up(slots, SLOTS_STEP)
        shape = (model.num_layers, 2, self._spare + 1, model.num_kv, places, model.head_dim)
        if self._storage.numel() < prod(shape):
            self._storage = torch.zeros(prod(shape), dtype=model.dtype, device=device)
        self._suffixes = self._storage[: prod(shape)].view(shape)
        have = self._state.tokens.shape
        if have[0] <= self._spare or have[1] < places:
            size = max(have[0], self._spare + 1), max(have[1], places)
            self._state = SlotState.empty(*size, model.model.config.hidden_size, model.dtype, device)
        self._state.retire(self._spare)
        if len(self._tables.slots) < round_rows(slots):
            self._tables = BatchTables.empty(round_rows(slots), device)
        self._fixed = (
            *model.addresses(),
            self._storage.data_ptr(),
            *addresses(self._state, self._tables),
        )
        self._noise = torch.from_numpy(work.noise).to(device)
        groups: dict[bytes, int] = {}
        for prefix in work.prefixes:
            groups[prefix.tobytes()] = groups.get(prefix.tobytes(), 0) + 1
        largest = min(max(groups.values()), slots)
        query_bytes = model.head_dim * model.dtype.itemsize
        self._tile_rows = rows_per_tile(largest, model.num_heads // model.num_kv, query_bytes)
        sampler = settings(work.params, device)
        self._truncates, self._restricts = sampler.truncates, sampler.actions is not None
        if sampler.actions is not None:
            self._have_actions(sampler.actions)

    def _have_actions(self, actions: Tensor) -> None:
        """Keep the action spaces of a call, where the last one's lay if they are as many and as large."""
        if self._actions.shape == actions.shape:
            self._actions.copy_(actions)
        else:
            self._actions = actions
            self._replay.forget()

    def forget_prefixes(self) -> None:
        """Drop computed prefixes: the weights have changed."""
        if self._kind is not None:
            self.pool.clear()

    def admit(self, slots: npt.NDArray[np.int64], rollouts: npt.NDArray[np.int64], work: Work) -> None:
        """Put fresh `rollouts` into `slots`. Their prefixes are in the pool."""
        stored = [self.pool[work.prefixes[i]] for i in rollouts]
        self._state.admit(
            self._upload(slots),
            torch.stack([prefix.hidden for prefix in stored]),
            self._noise[self._upload(rollouts)],
            self._upload(np.array([prefix.length for prefix in stored])),
            [work.params[work.kinds[i]] for i in rollouts],
            self._upload(work.kinds[rollouts]),
        )

    def arrange(self, slots: npt.NDArray[np.int64], prefixes: Sequence[Prefix]) -> None:
        """Make the batch of the rollouts in `slots`, whose i-th follows `prefixes[i]`."""
        rows = round_rows(len(slots))
        padding = rows - len(slots)
        keys = [prefix.tobytes() for prefix in prefixes]
        cells, examples = group_rows([*keys, *[None] * padding], self._tile_rows)
        tiles = power_of_two(len(cells))
        base, length = np.zeros((2, tiles), np.int64)
        for tile, row in enumerate(examples):
            if row < len(slots):
                found = self.pool[prefixes[row]]
                base[tile], length[tile] = found.base, found.length
        cells = np.concatenate([cells, np.full((tiles - len(cells), self._tile_rows), -1, np.int32)])
        tables = self._tables
        tables.slots[:rows] = self._upload(np.concatenate([slots, np.full(padding, self._spare)]))
        tables.tile_rows[: cells.size] = self._upload(cells.reshape(-1))
        tables.tile_base[:tiles], tables.tile_length[:tiles] = self._upload(base), self._upload(length)
        self._rows, self._tiles, self._longest_prefix = rows, tiles, int(length.max())

    def advance(self, steps: int, longest: int) -> None:
        """Run `steps` steps, after which no row has more than `longest` tokens."""
        present = (*self._fixed, self.pool.tensor.data_ptr())
        if present != self._addresses:
            self._addresses = present
            self._replay.forget()
        shape = StepShape(
            rows=self._rows,
            tiles=self._tiles,
            tile_rows=self._tile_rows,
            prefix=round_up(self._longest_prefix, CONTEXT_STEP),
            suffix=round_up(longest, CONTEXT_STEP),
            slots=self._spare + 1,
            places=self._suffixes.shape[4],
            truncates=self._truncates,
            restricts=self._restricts,
        )
        for _ in range(steps):
            self._replay(shape)

    def read(
        self, slots: npt.NDArray[np.int64], start: npt.NDArray[np.int64], steps: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Tokens and logprobs `[rows, steps]` of `slots` from place `start[i]` on. What lies past an end is stale."""
        state = self._state
        where = self._upload(slots)[:, None], self._upload(start[:, None] + np.arange(steps))
        packed = torch.stack([state.tokens[where], state.logprobs[where].view(torch.int32)])
        if packed.device.type == "cuda":
            host = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
            host.copy_(packed, non_blocking=True)
            torch.cuda.current_stream().synchronize()
            packed = host
        tokens, logprobs = packed.numpy()
        return tokens, logprobs.view(np.float32)

    def _upload(self, values: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(values).to(self._model.device)

    def _step(self, shape: StepShape) -> None:
        decode_step(
            self._model,
            self._operations,
            self._ends,
            self._state,
            self._tables,
            self.pool.tensor,
            self._suffixes,
            self._actions,
            shape,
        )
