"""How kernels for CPUs are compiled: by numba at their first call, kept on disk, on the threads that torch uses.

No compiler need be installed. Kernels share torch's OpenMP threads, split their work by rows and never across a sum, so
that results do not depend on the number of threads.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

# Sums may be reordered, which vector registers need. Numbers that are not finite must stay so: they stop a run.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


@cache
def has_numba() -> bool:
    """Whether numba is installed, with the threading layer that may be called from several threads."""
    return all(importlib.util.find_spec(name) for name in ("numba", "numba.np.ufunc.omppool"))


def kernel(function: Callable[..., Any]) -> Any:
    """`function` compiled; `numba.prange` loops run in parallel."""
    import numba

    return numba.njit(parallel=True, fastmath=FASTMATH, cache=True, nogil=True)(function)


def part(function: Callable[..., Any]) -> Any:
    """`function` compiled as a part of the kernels that call it, its operations in the order they are written in."""
    import numba

    return numba.njit(fastmath={"contract"}, nogil=True)(function)


def compiled_before(kernel: Any) -> bool:
    """Whether a kernel of this version of its file is on disk, or compiled in this process."""
    return bool(kernel.signatures) or any(Path(kernel.stats.cache_path).glob(f"{_stem(kernel)}*.nbi"))


def _stem(kernel: Any) -> str:
    """How the names of a kernel's files in numba's store begin."""
    return f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__qualname__}-"


def use_torch_threads() -> None:
    """Let kernels that this thread calls run on as many threads as torch. Call before the first of them."""
    import numba

    config: Any = numba.config
    config.THREADING_LAYER = "omp"
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, config.NUMBA_NUM_THREADS))
    if torch.get_num_threads() != threads:  # numba's first call gives this thread all that it may launch
        torch.set_num_threads(threads)
