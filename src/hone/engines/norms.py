"""RMS norms of the native engine: few kernels where they are exact, the module's own rounding where they are not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class Norm:
    """The RMS norms of `modules` at once: of the rows (heads) `[..., sum of counts, width]`, counts[i] are module i's.

    In float32 and float64 it is sqrt(width) w x / hypot(|x|, sqrt(width eps)), which equals w x / sqrt(mean x^2 + eps)
    and takes four kernels instead of seven. Narrower dtypes round as the modules do, which the trainer does too.
    """

    def __init__(self, *modules: Any, counts: Sequence[int] = (1,)) -> None:
        self._modules, self._counts = modules, list(counts)
        self._width: int = modules[0].weight.shape[-1]
        self.weight = self._scaled()  # [width] for one module, else [sum of counts, width]
        self._floor = self.weight.new_tensor(math.sqrt(self._width * modules[0].variance_epsilon))

    def _scaled(self) -> Tensor:
        weights = [m.weight.detach() for m in self._modules]
        if len(weights) > 1:
            weights = [w.expand(n, self._width) for w, n in zip(weights, self._counts)]
        return torch.cat(weights) * math.sqrt(self._width)

    def refresh(self) -> None:
        """Take the modules' present weights, in place."""
        self.weight.copy_(self._scaled())

    def __call__(self, x: Tensor) -> Tensor:
        """`x` normed along its last axis."""
        if x.dtype in (torch.float32, torch.float64):
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            return torch.div(x, length.hypot_(self._floor)).mul_(self.weight)
        if len(self._modules) == 1:
            out: Tensor = self._modules[0](x)
            return out
        parts = x.split(self._counts, -2)
        return torch.cat([module(part) for module, part in zip(self._modules, parts)], -2)


def module_norm(x: Tensor, module: Any) -> Tensor:
    """RMS norm straight from the module's weight. In float32 in one call; otherwise as the module rounds it."""
    if x.dtype == torch.float32:
        return F.rms_norm(x, x.shape[-1:], module.weight, module.variance_epsilon)
    out: Tensor = module(x)
    return out
