"""The system-call filter: a BPF program, assembled here, that the kernel runs before every call.

Allowed is what `syscalls` lists; the rest fails with EPERM, and newer calls with ENOSYS, at which C libraries fall back
to older ones. So a program can compute, read, print and start threads, and can open nothing for writing, make no socket
(but pairs that lead to each other, which asyncio needs), start no process or other program, signal and trace nobody.
A call of another architecture kills the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

from hone.isolation.linux import PR_SET_SECCOMP, prctl
from hone.isolation.sandbox.syscalls import FREE, GUARDED, MACHINES, NEWER, Machine

MODE_FILTER = 2
KILL, REFUSE, ABSENT, ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS, 0x7FFF0000
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06  # of words, with the constant k
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in the kernel's struct seccomp_data

_WRITING = 0o3 | 0o100 | 0o1000  # access mode, O_CREAT, O_TRUNC
_THREAD, _NAMESPACES = 0x10000, 0x7E020080
_COMMANDS = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    1030,
    1032,
)  # fcntl: duplicate, flags, locks, pipe size; no owners of signals
_TERMINAL = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # ioctl: is it one, its size, bytes waiting, close on exec
_NAMES = (15, 16)  # prctl: a thread's name

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


class Check(NamedTuple):
    """One argument, its lower 32 bits or with `high` its upper ones, masked, must be one of `values`."""

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    high: bool = False


def rules(process: int) -> dict[str, tuple[Check, ...]]:
    """What the arguments of guarded calls must be, all checks of a call together, for the program in `process`."""
    return {
        "open": (Check(1, (0,), _WRITING),),
        "openat": (Check(2, (0,), _WRITING),),
        "clone": (Check(0, (_THREAD,), _THREAD | _NAMESPACES),),
        "kill": (Check(0, (process,)),),
        "tgkill": (Check(0, (process,)),),
        "prlimit64": (Check(0, (0, process)),),
        "prctl": (Check(0, _NAMES),),
        "ioctl": (Check(1, _TERMINAL),),
        "fcntl": (Check(1, _COMMANDS),),
        # A pair of datagram sockets could be sent from to any name; streams lead to each other alone.
        "socketpair": (Check(0, (1,)), Check(1, (1,), 0xF)),
        "sendto": (Check(4, (0,)), Check(4, (0,), high=True)),
    }


def assembled(machine: Machine, process: int) -> list[Instruction]:
    """The filter for the program in `process` on `machine`."""
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, machine.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    ]
    for numbers in FREE.values():
        if (number := numbers[machine.column]) is not None:
            program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ALLOW)]
    for name, checks in rules(process).items():
        if (number := GUARDED[name][machine.column]) is not None:
            block = [step for check in checks for step in _steps(check)]
            program += [(EQUAL, 0, len(block) + 1, number), *block, (RETURN, 0, 0, ALLOW)]
    return [*program, (AT_LEAST, 0, 1, NEWER), (RETURN, 0, 0, ABSENT), (RETURN, 0, 0, REFUSE)]


def _steps(check: Check) -> list[Instruction]:
    """Go on behind these steps if the check holds, else refuse."""
    count = len(check.values)
    found = [(EQUAL, count - i, 0, value) for i, value in enumerate(check.values)]
    offset = ARGUMENTS + 8 * check.argument + 4 * check.high  # both architectures are little-endian
    return [(LOAD, 0, 0, offset), (AND, 0, 0, check.mask), *found, (RETURN, 0, 0, REFUSE)]


def install() -> None:
    """Hold the filter against this process and the threads it will start, for good; needs no_new_privs.

    OSError where the kernel refuses or the architecture is another one.
    """
    name = os.uname().machine
    machine = MACHINES.get(name)
    if machine is None:
        raise OSError(errno.ENOSYS, f"no filter is written for {name}")
    steps = assembled(machine, os.getpid())
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
    prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program))
