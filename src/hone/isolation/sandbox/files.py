"""The files that a sandboxed program may read: Python's own installation, and the system's libraries."""

from __future__ import annotations

import os
import sys

_SYSTEM = (
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo",
    "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip


def readable() -> list[str]:
    """Their paths: files, and folders with all below."""
    python = (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
    found = (*python, *map(os.path.realpath, python), *_SYSTEM)
    return list(dict.fromkeys(found))
