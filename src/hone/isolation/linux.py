"""System calls that the standard library lacks: what a process may ask the kernel to hold against itself."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from typing import Any

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CAPABILITIES = 0x20080522  # version 3 of the header: two words for each set


def prctl(option: int, *arguments: Any) -> None:
    """`prctl(option, ...)`. OSError with the kernel's reason."""
    padded = (*arguments, *(0,) * (4 - len(arguments)))
    _checked(_libc().prctl(option, *(_long(a) for a in padded)), f"prctl {option}")


def syscall(number: int, *arguments: Any) -> int:
    """The value of a system call by its number. OSError with the kernel's reason."""
    return _checked(_libc().syscall(ctypes.c_long(number), *(_long(a) for a in arguments)), f"call {number}")


def die_with_parent(parent: int | None) -> None:
    """Have the kernel kill this process when the thread that started it ends; needs Linux, else it does nothing.

    `parent` is that thread's process: if it is gone already, this process ends here. None inside a namespace,
    where the parent's number is not seen.
    """
    if sys.platform != "linux":
        return
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def drop_privileges() -> None:
    """Give up every capability, and the right to gain any by running a program; neither comes back.

    Without it root would raise its own limits again.
    """
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITIES, 0))
    _checked(_libc().capset(header, ctypes.create_string_buffer(24)), "capset")
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _long(argument: Any) -> Any:
    """Integers as wide as the kernel reads them; pointers as they are."""
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _checked(value: int, name: str) -> int:
    if value < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return value
