"""Linear layers of a decode step. MKL packs a matrix at every product; for few rows that takes as long as the product.

So where torch is built with MKL the matrices are packed once for all steps until the weights change, if that needs no
more than a set share of the machine's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

LIKELY_ROWS = 64  # what MKL is told when it packs; any number of rows may follow


@dataclass(frozen=True)
class Linear:
    """A linear layer in float32 on a CPU; `packed` is None if the matrix is read as it is."""

    weight: Tensor
    bias: Tensor | None
    packed: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """`x[rows, in]` times the matrix, plus the bias."""
        if self.packed is None:
            return F.linear(x, self.weight, self.bias)
        out: Tensor = torch.ops.mkl._mkl_linear.default(x, self.packed, self.weight, self.bias, x.shape[0])
        return out


def make_linears(pairs: Sequence[tuple[Tensor, Tensor | None]], budget: int) -> list[Linear]:
    """Layers of (matrix, bias), packed if MKL is there and all matrices together fit into `budget` bytes."""
    fits = sum(weight.nbytes for weight, _ in pairs) <= budget
    if not (fits and torch.backends.mkl.is_available() and hasattr(torch.ops.mkl, "_mkl_linear")):
        return [Linear(weight, bias, None) for weight, bias in pairs]
    pack = torch.ops.mkl._mkl_reorder_linear_weight
    return [Linear(weight, bias, pack(weight, LIKELY_ROWS)) for weight, bias in pairs]
