"""Computed prefixes laid end to end in one tensor that stays where it is while captured steps read it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hone.engines.attention import PrefixBlock
from hone.kernels.decode_tiles import power_of_two

if TYPE_CHECKING:
    from jaxtyping import Float


@dataclass(frozen=True)
class StoredPrefix:
    """Where a prefix lies, and the last hidden state, which predicts the first token after it."""

    base: int
    length: int
    hidden: Float[Tensor, "width"]


class PrefixPool:
    """Prefixes by their tokens. The oldest go first when the pool is full; those in use never go.

    `tensor` grows in powers of two up to `budget` tokens, and beyond only for what is in use.
    """

    def __init__(
        self, layers: int, num_kv: int, dim: int, dtype: torch.dtype, device: torch.device, budget: int
    ):
        self.tensor: Float[Tensor, "layers 2 Hkv C D"] = torch.empty(
            layers, 2, num_kv, 0, dim, dtype=dtype, device=device
        )
        self._budget = budget
        self._stored: dict[bytes, StoredPrefix] = {}  # in order of age

    def __contains__(self, prefix: npt.NDArray[np.int32]) -> bool:
        return prefix.tobytes() in self._stored

    def __getitem__(self, prefix: npt.NDArray[np.int32]) -> StoredPrefix:
        """Where a prefix is at present. Adding others may move it."""
        return self._stored[prefix.tobytes()]

    def clear(self) -> None:
        """Drop all prefixes and keep the memory."""
        self._stored.clear()

    def reserve(self, prefixes: Collection[npt.NDArray[np.int32]]) -> None:
        """Grow, within the budget, to hold `prefixes` besides what is stored."""
        missing = {p.tobytes(): len(p) for p in prefixes if p not in self}
        self._pack(self._grown(self._held() + sum(missing.values())))

    def add(
        self,
        blocks: dict[PrefixBlock, list[npt.NDArray[np.int32]]],
        live: Collection[bytes],
    ) -> None:
        """Store the prefixes of `blocks`. Prefixes that are not `live` make room if they must."""
        size = sum(len(p) for prefixes in blocks.values() for p in prefixes)
        wanted = self._held() + size
        capacity = self._grown(wanted)
        for old in [key for key in self._stored if key not in live]:
            if wanted <= capacity:
                break
            wanted -= self._stored.pop(old).length
        capacity = max(capacity, wanted)
        end = max((p.base + p.length for p in self._stored.values()), default=0)
        if end + size > self.tensor.shape[3]:
            end = self._pack(capacity)
        for block, prefixes in blocks.items():
            for i, prefix in enumerate(prefixes):
                length = len(prefix)
                self.tensor[:, :, :, end : end + length] = block.keys_values[:, :, i, :, :length]
                self._stored[prefix.tobytes()] = StoredPrefix(end, length, block.hidden[i])
                end += length

    def _held(self) -> int:
        return sum(p.length for p in self._stored.values())

    def _grown(self, wanted: int) -> int:
        """The capacity to have for `wanted` tokens, were there no others than the budget allows."""
        have = self.tensor.shape[3]
        return have if wanted <= have else max(have, min(self._budget, power_of_two(wanted)))

    def _pack(self, capacity: int) -> int:
        """Close the gaps, in a larger tensor if `capacity` asks for one. Returns where free space begins."""
        places = [np.arange(p.base, p.base + p.length) for p in self._stored.values()]
        index = torch.from_numpy(np.concatenate([np.empty(0, np.int64), *places])).to(self.tensor.device)
        old = self.tensor
        if capacity > old.shape[3]:
            self.tensor = old.new_empty(*old.shape[:3], capacity, old.shape[4])
        for layer in range(len(old)):  # one at a time, so that the copy in between stays small
            self.tensor[layer, :, :, : len(index)] = old[layer].index_select(2, index)
        end = 0
        for key, prefix in self._stored.items():
            self._stored[key] = replace(prefix, base=end)
            end += prefix.length
        return end
