"""Memory of the native engine: prefixes kept until refresh, and the static cache of rollouts' own tokens."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from hone.engines.attention import PrefixBlock

if TYPE_CHECKING:
    from jaxtyping import Float, Int

CACHE_SHARE = 0.125  # of the machine's memory, for prefixes and for rollouts' own tokens each
MOST_SLOTS = {"cpu": 512, "cuda": 1024}  # beyond these a step is no more efficient, only slower to turn over


def memory_bytes(device: torch.device) -> int:
    """The device's whole memory. Never what is free at the moment: slot counts must not change from run to run."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resolve_slots(device: torch.device, slot_bytes: int) -> int:
    """How many rollouts to decode at once when their own tokens need `slot_bytes` each."""
    fitting = int(CACHE_SHARE * memory_bytes(device)) // slot_bytes
    return max(1, min(fitting, MOST_SLOTS.get(device.type, MOST_SLOTS["cpu"])))


class PrefixStore:
    """Computed prefixes by their tokens. The oldest blocks go first when the store is full."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._blocks: dict[PrefixBlock, list[bytes]] = {}  # in order of age
        self._found: dict[bytes, tuple[PrefixBlock, int]] = {}

    def __contains__(self, prefix: npt.NDArray[np.int32]) -> bool:
        return prefix.tobytes() in self._found

    def __getitem__(self, prefix: npt.NDArray[np.int32]) -> tuple[PrefixBlock, int]:
        """The block of a prefix and its index there."""
        return self._found[prefix.tobytes()]

    def add(
        self, blocks: dict[PrefixBlock, list[npt.NDArray[np.int32]]], live: Collection[PrefixBlock]
    ) -> None:
        """Keep `blocks` with their prefixes, and drop the oldest beyond the budget that are neither new nor `live`."""
        for block, prefixes in blocks.items():
            self._blocks[block] = [p.tobytes() for p in prefixes]
            self._found.update({key: (block, i) for i, key in enumerate(self._blocks[block])})
        held = sum(b.nbytes for b in self._blocks)
        for old in [b for b in self._blocks if b not in live and b not in blocks]:
            if held <= self._budget:
                break
            held -= old.nbytes
            for key in self._blocks.pop(old):
                del self._found[key]

    def clear(self) -> None:
        """Drop everything."""
        self._blocks.clear()
        self._found.clear()


class SuffixCache:
    """Keys and values of the tokens that live rollouts have sampled: one static tensor, reused from call to call."""

    def __init__(self) -> None:
        self.tensor: Float[torch.Tensor, "layers 2 slots Hkv T D"] = torch.empty(0, 2, 0, 0, 0, 0)

    def ensure(
        self, shape: tuple[int, int, int, int, int, int], dtype: torch.dtype, device: torch.device
    ) -> None:
        """Make the tensor at least as large as `shape` = (layers, 2, slots, Hkv, T, D)."""
        have = self.tensor
        if have.dtype == dtype and have.device == device and all(h >= s for h, s in zip(have.shape, shape)):
            return
        self.tensor = torch.zeros(shape, dtype=dtype, device=device)
        _, _, slots, num_kv, places, _ = shape
        self._keys, self._values = self.tensor.flatten(2, 3).unbind(1)  # [layers, slots * Hkv, T, D]
        self._rows = self.tensor.flatten(1, 4).unbind(0)  # of each layer: [2 * slots * Hkv * T, D]
        order = torch.arange(2 * slots * num_kv, device=device).view(2, slots, num_kv).transpose(0, 1)
        self._starts: Int[torch.Tensor, "slots 2 Hkv"] = order.contiguous() * places

    def view(self, written: Int[torch.Tensor, "rows"], used: int) -> SuffixView:
        """The cache as a step sees it whose row i writes place `written[i]`, of which the first `used` are read."""
        rows = len(written)
        cells = rows * self._starts.shape[2]
        return SuffixView(
            place=(self._starts[:rows] + written.view(-1, 1, 1)).flatten(),
            rows=self._rows,
            keys=self._keys[:, :cells, :used].transpose(2, 3).unbind(0),
            values=self._values[:, :cells, :used].unbind(0),
        )

    def move(self, source: npt.NDArray[np.int64], target: npt.NDArray[np.int64], used: int) -> None:
        """Copy the first `used` places of slots `source` to slots `target`."""
        where = torch.from_numpy(target), torch.from_numpy(source)
        self.tensor[:, :, where[0], :, :used] = self.tensor[:, :, where[1], :, :used]


@dataclass(frozen=True)
class SuffixView:
    """Where one decode step writes and what it reads; each list has an entry for each layer."""

    place: Int[torch.Tensor, "rows*2*Hkv"]  # rows of `rows` that the new keys and values go to, row after row
    rows: Sequence[Float[torch.Tensor, "2*slots*Hkv*T D"]]
    keys: Sequence[Float[torch.Tensor, "rows*Hkv D used"]]
    values: Sequence[Float[torch.Tensor, "rows*Hkv used D"]]
