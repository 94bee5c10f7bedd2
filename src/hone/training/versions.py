"""The versions that a run's numbers depend on."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from hone import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "numba")


@functools.cache
def versions() -> Mapping[str, str]:
    """hone's, Python's, and those of the packages that compute."""
    found = {"hone": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # it is not there, or was put on the path without being installed
            found[name] = "unknown"
    return found


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Which versions differ, in words; '' if none does."""
    names = [
        name for name in (*now, *(n for n in before if n not in now)) if before.get(name) != now.get(name)
    ]
    return ", ".join(f"{name} {before.get(name, 'none')} then, {now.get(name, 'none')} now" for name in names)
