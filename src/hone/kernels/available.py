"""Which compilers of kernels are there."""

from __future__ import annotations

import importlib.util


def has_triton() -> bool:
    """Whether Triton is installed."""
    return importlib.util.find_spec("triton") is not None
