"""How kernels for CPUs are compiled: by numba before their first use, kept on disk, on the threads that torch uses.

No compiler need be installed. Kernels share torch's OpenMP threads, split their work by rows and never across a sum, so
that results do not depend on the number of threads.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

# Sums may be reordered, which vector registers need. Numbers that are not finite must stay so: they stop a run.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
DEADLINE = 600  # seconds to wait for other processes to compile

_ONE_LOADS = threading.Lock()
_KERNELS: list[tuple[Any, tuple[Any, ...]]] = []  # each with the types of its arguments


@cache
def has_numba() -> bool:
    """Whether numba is installed, with the threading layer that may be called from several threads."""
    return all(importlib.util.find_spec(name) for name in ("numba", "numba.np.ufunc.omppool"))


def kernel(signature: str, loops: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """A function compiled for arguments of numba's `signature`. Where it `loops`, `numba.prange` runs in parallel."""
    import numba
    from numba.core.sigutils import normalize_signature

    config: Any = numba.config
    config.THREADING_LAYER = "omp"

    def compiled(function: Callable[..., Any]) -> Any:
        made = numba.njit(parallel=loops, fastmath=FASTMATH, cache=True, nogil=True)(function)
        _KERNELS.append((made, normalize_signature(signature)[0]))
        return made

    return compiled


def part(function: Callable[..., Any]) -> Any:
    """`function` compiled as a part of the kernels that call it, its operations in the order they are written in."""
    import numba

    return numba.njit(fastmath={"contract"}, nogil=True)(function)


@contextmanager
def _same_threads() -> Iterator[int]:
    """Leave torch the number of threads it has: numba's first use gives a thread all that it may launch."""
    threads = torch.get_num_threads()
    yield threads
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def compiled_before() -> bool:
    """Whether every kernel is loaded, or in numba's store as its file is now and for this processor."""
    from numba.core.caching import FunctionCache

    with _same_threads():
        return all(
            made.signatures or FunctionCache(made.py_func).load_overload(types, made.targetctx) is not None
            for made, types in _KERNELS
        )


def compile_share(first: int, step: int) -> None:
    """Compile every `step`-th kernel, or read it from numba's store."""
    for made, types in _KERNELS[first::step]:
        made.compile(types)
        made.disable_compile()  # other types are a mistake


def _compile_elsewhere() -> None:
    """Fill numba's store from other processes, one a thread of torch.

    What a process has compiled itself rounds otherwise than what it reads, as loops are optimized once more on their
    way to the store: a first run would differ from all later ones.
    """
    program = "from hone.kernels import layers_numba, numba_jit; numba_jit.compile_share({}, {})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    shares = torch.get_num_threads()
    programs = [program.format(i, shares) for i in range(shares)]
    for process in [subprocess.Popen([sys.executable, "-c", text], env=environment) for text in programs]:
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:  # then this process compiles what is missing
            process.kill()


@cache
def _load() -> None:
    """Read every kernel from the store, which other processes fill first if it lacks one."""
    if not compiled_before():
        _compile_elsewhere()
    compile_share(0, 1)


def prepare() -> None:
    """Load the kernels, and run those that this thread calls on as many threads as torch. Call before the first."""
    import numba

    config: Any = numba.config
    with _same_threads() as threads:
        with _ONE_LOADS:
            _load()
        numba.set_num_threads(min(threads, config.NUMBA_NUM_THREADS))
