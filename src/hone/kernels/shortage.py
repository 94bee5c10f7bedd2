"""Out of memory: how an allocation that failed is told from other errors, and how memory is given back."""

from __future__ import annotations

import gc

import torch


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` is a failed allocation of a device or of the CPU, which has no error class of its own."""
    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return on_cpu or isinstance(error, torch.OutOfMemoryError)


def first_line(error: BaseException) -> str:
    """What failed, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def release() -> None:
    """Give back what nothing refers to any more. Call it after the error's frames are gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
