"""The filter, run here as the kernel would run it, on both architectures."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hone.isolation.sandbox import seccomp
from hone.isolation.sandbox.seccomp import ABSENT, ALLOW, KILL, REFUSE, assembled
from hone.isolation.sandbox.syscalls import FREE, GUARDED, MACHINES

X86, ARM = MACHINES["x86_64"], MACHINES["aarch64"]
HEADERS = {
    0: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    1: Path("/usr/include/asm-generic/unistd.h"),
}
ME = 4321


def decide(program, architecture: int, number: int, *arguments: int) -> int:
    """What the kernel would do with a call."""
    words = {0: number, 4: architecture}
    for i in range(6):
        argument = arguments[i] if i < len(arguments) else 0
        words[16 + 8 * i], words[20 + 8 * i] = argument & 0xFFFFFFFF, argument >> 32 & 0xFFFFFFFF
    at = held = 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        if code == seccomp.LOAD:
            held = words[k]
        elif code == seccomp.AND:
            held &= k
        elif code == seccomp.RETURN:
            return k
        else:
            assert code in (seccomp.EQUAL, seccomp.AT_LEAST)
            at += if_true if (held == k if code == seccomp.EQUAL else held >= k) else if_false


@pytest.fixture(params=[X86, ARM], ids=["x86-64", "arm64"])
def machine(request):
    return request.param


@pytest.fixture
def ask(machine):
    program = assembled(machine, ME)
    assert len(program) < 4096
    assert all(0 <= jump < 256 for _, *jumps, _ in program for jump in jumps)

    def asked(name: str, *arguments: int) -> int:
        number = {**FREE, **GUARDED}[name][machine.column]
        return ALLOW if number is None else decide(program, machine.audit, number, *arguments)

    return asked


def test_what_is_free_is_allowed_and_all_else_refused(machine) -> None:
    program = assembled(machine, ME)
    free = {numbers[machine.column] for numbers in FREE.values()}
    guarded = {numbers[machine.column] for numbers in GUARDED.values()}
    for number in range(600):
        found = decide(program, machine.audit, number, 2**32 + 11, 11, 11, 0, 2**32)
        if number in free:
            assert found == ALLOW, number
        elif number in guarded:
            assert found == REFUSE, number
        else:
            assert found == (ABSENT if number >= 424 else REFUSE), number


def test_calls_of_another_architecture_kill(machine) -> None:
    program = assembled(machine, ME)
    for other in (0x40000003, ARM.audit if machine is X86 else X86.audit, 0):
        assert decide(program, other, FREE["read"][machine.column]) == KILL
    assert decide(program, machine.audit, 0x40000000 | 59) == ABSENT  # numbers of the x32 interface


def test_files_are_opened_for_reading_alone(ask) -> None:
    for flags in (0, os.O_CLOEXEC, os.O_DIRECTORY | os.O_CLOEXEC, os.O_NONBLOCK):
        assert ask("openat", 2**64 - 100, 0xFFFF, flags) == ALLOW
        assert ask("open", 0xFFFF, flags) == ALLOW
    for flags in (
        os.O_WRONLY,
        os.O_RDWR,
        3,
        os.O_CREAT,
        os.O_TRUNC,
        os.O_RDWR | os.O_CREAT,
        os.O_TMPFILE | os.O_RDWR,
    ):
        assert ask("openat", 2**64 - 100, 0xFFFF, flags) == REFUSE


def test_threads_but_no_processes(ask) -> None:
    thread = 0x3D0F00  # what pthread_create asks for
    assert ask("clone", thread) == ALLOW
    for flags in (17, 0x1200011, 0x4111, thread & ~0x10000, thread | 0x10000000, thread | 0x80):
        assert ask("clone", flags) == REFUSE


def test_signals_to_itself_alone(ask) -> None:
    for name in ("kill", "tgkill"):
        assert ask(name, ME, ME, 15) == ALLOW
        for other in (ME + 1, 1, 0, 2**64 - 1, 2**64 - ME):
            assert ask(name, other, other, 0) == REFUSE
    assert ask("prlimit64", 0, 7) == ask("prlimit64", ME, 7) == ALLOW
    assert ask("prlimit64", 1, 7) == REFUSE


def test_commands_that_concern_itself(ask) -> None:
    assert ask("fcntl", 3, 1030) == ask("ioctl", 1, 0x5401) == ask("prctl", 15) == ALLOW
    for command in (8, 10, 15):  # F_SETOWN, F_SETSIG, F_SETOWN_EX
        assert ask("fcntl", 3, command) == REFUSE
    for command in (0x5412, 0x8901, 0x40086602):  # TIOCSTI, FIOSETOWN, FS_IOC_SETFLAGS
        assert ask("ioctl", 1, command) == REFUSE
    for option in (1, 4, 22, 38):  # the parent-death signal above all
        assert ask("prctl", option) == REFUSE


def test_pairs_of_streams_alone(ask) -> None:
    assert ask("socketpair", 1, 1) == ask("socketpair", 1, 1 | os.O_CLOEXEC) == ALLOW
    for family, kind in ((1, 2), (1, 5), (2, 1), (16, 3)):
        assert ask("socketpair", family, kind) == REFUSE
    assert ask("sendto", 3, 0xFFFF, 5, 0, 0, 0) == ALLOW
    assert ask("sendto", 3, 0xFFFF, 5, 0, 2**40, 16) == ask("sendto", 3, 0xFFFF, 5, 0, 64, 16) == REFUSE


@pytest.mark.parametrize("column", [c for c, path in HEADERS.items() if path.exists()])
def test_numbers_are_those_of_the_kernels_headers(column: int) -> None:
    text = HEADERS[column].read_text()
    known = {m[1]: int(m[2]) for m in re.finditer(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    known.setdefault("newfstatat", known.get("fstatat", -1))
    for name, numbers in {**FREE, **GUARDED}.items():
        assert numbers[column] == known.get(name), name
