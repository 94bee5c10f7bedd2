"""hone: reinforcement post-training, every method one small checked piece in one loop.

`hone.train`, `hone.evaluate`, `hone.compare`, `hone.sweep` and `hone.task` are the surface; `hone.credit`,
`hone.objectives`, `hone.evals` and `hone.compute` hold the pieces. Names load on first use: importing hone is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hone.core.openmp import limit_spinning

__version__ = "0.1.0"

limit_spinning()  # before anything imports torch, which loads what reads it

if TYPE_CHECKING:
    from hone import compute as compute
    from hone import credit as credit
    from hone import evals as evals
    from hone import objectives as objectives
    from hone.api import compare as compare
    from hone.api import evaluate as evaluate
    from hone.api import sweep as sweep
    from hone.api import task as task
    from hone.api import train as train

_ROOMS = ("compute", "credit", "evals", "objectives")
_FUNCTIONS = ("compare", "evaluate", "sweep", "task", "train")
__all__ = [
    "__version__",
    "compare",
    "compute",
    "credit",
    "evals",
    "evaluate",
    "objectives",
    "sweep",
    "task",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"hone.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module("hone.api"), name)
    raise AttributeError(f"module 'hone' has no attribute {name!r}")
