"""Landlock: the kernel's own list of the files that a process may open, which it can only shorten."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from hone.isolation.linux import syscall

CREATE, ADD, RESTRICT = 444, 445, 446  # the same numbers on every architecture
_VERSION, _BENEATH = 1, 1
READ_FILE, READ_DIRECTORY = 1 << 2, 1 << 3
# How many rights over files each version of the interface knows: moving between folders came with 2, truncation with 3,
# device commands with 5.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}


def version() -> int:
    """Version of the kernel's interface, from 1. OSError where there is none or it is switched off."""
    return syscall(CREATE, None, 0, _VERSION)


def restrict(readable: Iterable[str]) -> None:
    """Let this process and its threads read `readable` (files, and folders with all below) and open nothing else.

    Paths that do not exist are passed over. From version 4 TCP is refused, from 6 signals and abstract sockets too.
    Needs no_new_privs. OSError where the kernel refuses.
    """
    known = version()
    handled = (1 << _RIGHTS[min(known, 5)]) - 1
    network, scopes = (0b11 if known >= 4 else 0), (0b11 if known >= 6 else 0)
    fields = [handled] + [network] * (known >= 4) + [scopes] * (known >= 6)
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields), 8 * len(fields))
    ruleset = syscall(CREATE, ctypes.byref(attributes), len(attributes), 0)
    try:
        for path in readable:
            _allow(ruleset, path)
        syscall(RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return
        raise
    try:
        rights = READ_FILE | READ_DIRECTORY if os.path.isdir(path) else READ_FILE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor), 12)
        syscall(ADD, ruleset, _BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
