"""Matrix products for compiled kernels to call: MKL's from the library torch is built on, else those of scipy's BLAS.

MKL packs a matrix at every product, which for few rows takes as long as the product; here weights are packed once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float

# Numbers of cblas: a layout, what is done to a matrix, which operand is packed.
ROW_MAJOR, PLAIN, TRANSPOSED, PACKED, SECOND = 101, 111, 112, 151, 162
LIKELY_ROWS = 64  # what MKL is told when it packs; any number of rows may follow
NAMES = "cblas_sgemm_compute", "cblas_sgemm_pack", "cblas_sgemm_pack_get_size"
FLOATS = ctypes.POINTER(ctypes.c_float)
SYMBOL = "hone_multiply"  # the name under which numba's linker finds the product


@cache
def mkl() -> ctypes.CDLL | None:
    """Torch's library, if it has MKL's functions for others to call."""
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not path.exists():
        return None
    library = ctypes.CDLL(str(path))
    return library if all(hasattr(library, name) for name in NAMES) else None


@cache
def product() -> Any:
    """What kernels call as `cblas_sgemm_compute` is called: integers of 32 bits, addresses and a factor."""
    from llvmlite import binding
    from numba import types

    library = mkl()
    address = library and ctypes.cast(library.cblas_sgemm_compute, ctypes.c_void_p).value
    binding.add_symbol(SYMBOL, address or of_scipy().address)
    i4, f4, place = types.int32, types.float32, types.intp
    arguments = i4, i4, i4, i4, i4, i4, place, i4, place, i4, f4, place, i4
    return types.ExternalFunction(SYMBOL, types.void(*arguments))


@cache  # for as long as kernels may call it
def of_scipy() -> Any:
    """The same of contiguous matrices that are not packed, by numba's `dot`, which calls scipy's BLAS."""
    import numba
    from numba import types

    i4, f4, place = types.int32, types.float32, types.CPointer(types.float32)

    @numba.cfunc(types.void(i4, i4, i4, i4, i4, i4, place, i4, place, i4, f4, place, i4))
    def multiply(_l, _p, kind, rows, width, depth, left, _a, right, _b, beta, out, _c):  # type: ignore[no-untyped-def]
        x, total = numba.carray(left, (rows, depth)), numba.carray(out, (rows, width))
        if kind == TRANSPOSED:
            found = np.dot(x, numba.carray(right, (width, depth)).T)
        else:
            found = np.dot(x, numba.carray(right, (depth, width)))
        for row in range(rows):
            for i in range(width):
                total[row, i] = found[row, i] + (beta * total[row, i] if beta != 0 else types.float32(0))

    return multiply


@dataclass(frozen=True)
class Matrices:
    """Matrices as the product takes them, each one row of numbers: `PACKED`, or as they are, which is `TRANSPOSED`."""

    kind: int
    flat: list[Float[np.ndarray, "numbers"]]


def lay_out(
    weights: Sequence[Float[Tensor, "out in"]], budget: int, before: Matrices | None = None
) -> Matrices:
    """Float32 matrices, packed where MKL is if together they fit into `budget` bytes, else as they are.

    The memory of matrices of the same shapes that were packed `before` is taken again.
    """
    library = mkl()
    if library is None or sum(weight.nbytes for weight in weights) > budget:
        return Matrices(TRANSPOSED, [weight.contiguous().view(-1).numpy() for weight in weights])
    size = library.cblas_sgemm_pack_get_size
    size.restype = ctypes.c_size_t
    sizes = [size(SECOND, LIKELY_ROWS, *weight.shape) // 4 + 1 for weight in weights]
    if before is None or before.kind != PACKED or [len(packed) for packed in before.flat] != sizes:
        before = Matrices(PACKED, [torch.empty(numbers).numpy() for numbers in sizes])
    for weight, packed in zip(weights, before.flat):
        dense = weight.contiguous()
        library.cblas_sgemm_pack(
            ROW_MAJOR, SECOND, TRANSPOSED, LIKELY_ROWS, *dense.shape, ctypes.c_float(1),
            ctypes.c_void_p(dense.data_ptr()), dense.shape[1], ctypes.c_void_p(packed.ctypes.data),
        )  # fmt: skip
    return before
