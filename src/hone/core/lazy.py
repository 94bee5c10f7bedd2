"""Torch and numpy-heavy imports on first use, so that `hone --help` and the method gallery answer at once.

Pieces write `from hone.core.lazy import torch` and use it as the module; the real import happens at the first
attribute. Files that need torch to be defined at all (modules, autograd functions) import it directly.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """Stands for a module and imports it when an attribute is read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import torch as torch
else:
    torch = LazyModule("torch")
