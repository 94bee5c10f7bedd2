"""How kernels for CPUs are compiled: by numba before their first use, kept on disk, on the threads that torch uses.

No compiler need be installed. Kernels share torch's OpenMP threads, split their work by rows and never across a sum, so
that results do not depend on the number of threads, but for how MKL rounds the products that `linear` asks it for.
"""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

# Sums may be reordered, which vector registers need. Numbers that are not finite must stay so: they stop a run.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}
DEADLINE = 600  # seconds to wait for other processes to compile

_ONE_LOADS = threading.Lock()


@dataclass(frozen=True)
class _Kernel:
    """A function that numba compiles for arguments of these types, and whether it calls other kernels."""

    function: Any
    types: tuple[Any, ...]
    calls: bool

    @property
    def name(self) -> str:
        return str(self.function.py_func.__name__)

    def on_disk(self) -> bool:
        """Whether numba's store has it, as its file is now and for this processor."""
        from numba.core.caching import FunctionCache

        return (
            FunctionCache(self.function.py_func).load_overload(self.types, self.function.targetctx)
            is not None
        )


_KERNELS: list[_Kernel] = []


@cache
def has_numba() -> bool:
    """Whether numba is installed, with the threading layer that may be called from several threads."""
    return all(importlib.util.find_spec(name) for name in ("numba", "numba.np.ufunc.omppool"))


@cache
def find_store() -> None:
    """See that numba can keep what it compiles: without a place for that, it refuses to compile.

    Where it can write neither beside the package nor in the home folder, it gets a folder for as long as this process
    lives, which processes that this one starts have too.
    """
    import numba
    from numba.core.caching import FunctionCache

    try:
        FunctionCache(compile_named)
    except RuntimeError:
        folder = os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="hone-kernels-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        numba.config.reload_config()
        logging.getLogger("hone").warning(
            "Compiled kernels can be kept neither beside the package nor in the home folder, so every run compiles "
            "them. Set NUMBA_CACHE_DIR to a folder that can be written."
        )


def kernel(signature: str, loops: bool = True, calls: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """A function compiled for arguments of numba's `signature`, which `calls` other kernels or not.

    Where it `loops`, `numba.prange` runs in parallel.
    """
    import numba
    from numba.core.sigutils import normalize_signature

    find_store()
    config: Any = numba.config
    config.THREADING_LAYER = "omp"

    def compiled(function: Callable[..., Any]) -> Any:
        made = numba.njit(parallel=loops, fastmath=FASTMATH, cache=True, nogil=True)(function)
        _KERNELS.append(_Kernel(made, normalize_signature(signature)[0], calls))
        return made

    return compiled


def part(function: Callable[..., Any]) -> Any:
    """`function` compiled as a part of the kernels that call it, its operations in the order they are written in."""
    import numba

    return numba.njit(fastmath={"contract"}, nogil=True)(function)


def compile_named(*names: str) -> None:
    """Compile these kernels, or read them from numba's store."""
    for kernel in _KERNELS:
        if kernel.name in names:
            kernel.function.compile(kernel.types)
            kernel.function.disable_compile()  # other types are a mistake


def _compile_elsewhere() -> None:
    """Fill numba's store from other processes, no more than torch has threads.

    What a process has compiled itself rounds otherwise than what it reads, as loops are optimized once more on their
    way to the store: a first run would differ from all later ones.
    """
    program = "from hone.kernels import layers_numba, numba_jit; numba_jit.compile_named(*{!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # What calls others comes last, when most of those are in the store.
    names = [kernel.name for kernel in sorted(_KERNELS, key=lambda kernel: kernel.calls)]
    processes = min(torch.get_num_threads(), len(names))
    programs = [program.format(names[i::processes]) for i in range(processes)]
    for process in [subprocess.Popen([sys.executable, "-c", text], env=environment) for text in programs]:
        try:
            process.wait(DEADLINE)
        except subprocess.TimeoutExpired:  # then this process compiles what is missing
            process.kill()


@cache
def _load() -> None:
    """Read every kernel from the store, which other processes fill first if it lacks one."""
    if not all(kernel.on_disk() for kernel in _KERNELS):
        logging.getLogger("hone").warning(
            "Compiling kernels for this processor, which takes about half a minute the first time."
        )
        _compile_elsewhere()
    compile_named(*(kernel.name for kernel in _KERNELS))


def prepare() -> None:
    """Load the kernels, and run those that this thread calls on as many threads as torch. Call before the first."""
    import numba

    config: Any = numba.config
    threads = torch.get_num_threads()
    with _ONE_LOADS:
        _load()
    numba.set_num_threads(min(threads, config.NUMBA_NUM_THREADS))
    if torch.get_num_threads() != threads:  # numba's first use gives this thread all that it may launch
        torch.set_num_threads(threads)
