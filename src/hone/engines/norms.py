"""RMS norms of the native engine: few kernels where they are exact, the module's own rounding where they are not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Norm:
    """The RMS norms of `modules` at once: rows `[..., counts[i], width]` belong to module i.

    In float32 and float64 it is sqrt(width) w x / hypot(|x|, sqrt(width eps)), which equals w x / sqrt(mean x^2 + eps)
    and takes four kernels instead of seven. Narrower dtypes round as the modules do, which the trainer does too.
    """

    modules: Sequence[Any]
    counts: Sequence[int]
    weight: Tensor  # [width] for one module, else [sum of counts, width]; times sqrt(width)
    floor: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """`x[..., width]` normed."""
        if x.dtype in (torch.float32, torch.float64):
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            return torch.div(x, length.hypot_(self.floor)).mul_(self.weight)
        if len(self.modules) == 1:
            out: Tensor = self.modules[0](x)
            return out
        parts = x.split(list(self.counts), -2)
        return torch.cat([module(part) for module, part in zip(self.modules, parts)], -2)


def norm(*modules: Any, counts: Sequence[int] = (1,)) -> Norm:
    """The norm of `modules` with their present weights; `counts` are the rows (heads) that each of them norms."""
    weights = [m.weight.detach() for m in modules]
    width = weights[0].shape[-1]
    weight = weights[0]
    if len(modules) > 1:
        weight = torch.cat([w.expand(count, width) for w, count in zip(weights, counts)])
    floor = weight.new_tensor(math.sqrt(width * modules[0].variance_epsilon))
    return Norm(modules, counts, weight * math.sqrt(width), floor)
