"""Weights in the dtype that sampling computes in: the module's own where they have it, else a copy."""

from __future__ import annotations

import torch
from torch import Tensor


class ComputeWeights:
    """Gives weights in `dtype`. A copy keeps its storage when it is taken again: CUDA graphs hold its address."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._kept: dict[str, Tensor] = {}

    def take(self, name: str, weight: Tensor) -> Tensor:
        """`weight` itself if it has the dtype; else its present values in the storage kept under `name`."""
        if weight.dtype == self.dtype:
            return weight
        kept = self._kept.get(name)
        if kept is None or kept.shape != weight.shape or kept.device != weight.device:
            kept = self._kept[name] = torch.empty_like(weight, dtype=self.dtype, requires_grad=False)
        with torch.no_grad():
            kept.copy_(weight)
        return kept
