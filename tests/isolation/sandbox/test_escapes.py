"""What a program tries, and from which level on it fails. One level below it works, or the attempt would show nothing.

Every attempt is one test of a program: it comes back if it got what it wanted, and raises if it was refused.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from hone.isolation.sandbox.levels import LEVELS, Level, holds
from hone.isolation.sandbox.probe import reached
from hone.isolation.sandbox.run import Job, Limits, run

ROOT = os.getuid() == 0  # at the level `limits` only root can still start processes
HERE = reached().level
WORKS = LEVELS[: LEVELS.index(HERE) + 1] if HERE else ()


def at(*levels: Level):
    """Parametrise over levels, those that this machine does not reach skipped by name."""
    marks = [
        pytest.param(
            level, marks=[] if level in WORKS else pytest.mark.skip(reason=f"{level} is not reached here")
        )
        for level in levels
    ]
    return pytest.mark.parametrize("level", marks)


@dataclass(frozen=True)
class Escape:
    """An attempt, the level from which on it fails, and whether it is harmless enough to show that it works below."""

    name: str
    promised: Level
    code: str
    harmless: bool = True


CTYPES = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    value = libc.syscall(*map(ctypes.c_long, arguments))
    if value < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return value
"""
# `{secret}` is a file outside, `{folder}` a folder outside, `{port}` a server on this machine, `{owner}` the process
# that the program must not touch.
ESCAPES = [
    # files
    Escape("read a file", "landlock", "assert open('{secret}').read() == 'secret'"),
    Escape("list a folder", "landlock", "import os; assert os.listdir('{folder}')"),
    Escape("read the owner's environment", "landlock", "open('/proc/{owner}/environ', 'rb').read()", harmless=False),
    Escape("read the owner's memory", "landlock", "open('/proc/{owner}/mem', 'rb')", harmless=False),
    Escape("read itself by way of proc", "landlock", "open('/proc/self/maps').read()"),
    Escape("read passwords", "landlock", "open('/etc/passwd').read()"),
    Escape("see that a file is there", "bubblewrap", "import os; os.stat('{secret}')"),
    Escape("see that the owner is there", "bubblewrap", "import os; os.stat('/proc/{owner}')"),
    Escape("write into a file", "limits", "f = open('{secret}', 'a'); f.write('x'); f.flush()"),
    Escape("write into a new file", "limits", "f = open('{folder}/new', 'w'); f.write('x' * 100_000); f.flush()"),
    Escape("make a file", "seccomp", "open('{folder}/empty', 'x')"),
    Escape("empty a file", "seccomp", "open('{secret}', 'w')"),
    Escape("empty a file while reading it", "seccomp", "import os; os.open('{secret}', os.O_RDONLY | os.O_TRUNC)"),
    Escape("cut a file", "seccomp", "import os; os.truncate('{secret}', 1)"),
    Escape("remove a file", "seccomp", "import os; os.remove('{secret}')"),
    Escape("rename a file", "seccomp", "import os; os.rename('{secret}', '{secret}2')"),
    Escape("link a file", "seccomp", "import os; os.link('{secret}', '{folder}/link')"),
    Escape("make a link", "seccomp", "import os; os.symlink('/etc', '{folder}/etc')"),
    Escape("make a folder", "seccomp", "import os; os.mkdir('{folder}/new')"),
    Escape("make a pipe", "seccomp", "import os; os.mkfifo('{folder}/pipe')"),
    Escape("change permissions", "seccomp", "import os; os.chmod('{secret}', 0o777)"),
    Escape("change permissions of an open file", "seccomp",
           "import os; os.fchmod(os.open('{secret}', os.O_RDONLY), 0o777)"),
    Escape("change times", "seccomp", "import os; os.utime('{secret}')"),
    Escape("set an attribute", "seccomp", CTYPES + """
value = libc.setxattr(b'{secret}', b'user.x', b'y', ctypes.c_size_t(1), 0)
if value < 0 and ctypes.get_errno() != 95: raise OSError(ctypes.get_errno(), 'setxattr')  # not on every file system
"""),
    Escape("keep data in memory files", "seccomp", "import os; os.memfd_create('x')"),
    # network
    Escape("open a socket", "seccomp", "import socket; socket.socket()"),
    Escape("reach a server", "seccomp", "import socket; socket.create_connection(('127.0.0.1', {port}), 5)"),
    Escape("open a local socket", "seccomp", "import socket; socket.socket(socket.AF_UNIX)"),
    Escape("send from half a pair of sockets", "seccomp",
           "import socket; socket.socketpair(type=socket.SOCK_DGRAM)[0]"),
    Escape("talk to the kernel", "seccomp", "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
    # processes
    Escape("fork", "seccomp", "import os\nif os.fork() == 0: os._exit(0)", harmless=ROOT),
    Escape("fork without end", "seccomp", "import os\nwhile True: os.fork()", harmless=False),
    Escape("run a program", "seccomp", "import subprocess; subprocess.run(['/bin/true'], check=True)",
           harmless=ROOT),
    Escape("become a program", "seccomp", "import os; os.execv('/bin/true', ['true'])", harmless=False),
    Escape("start a process by number", "seccomp", CTYPES + "\nif call({clone3}, 0, 0) == 0: os._exit(0)",
           harmless=False),
    Escape("outlive the owner", "seccomp", CTYPES + "\nif libc.prctl(1, 0) < 0: raise OSError(ctypes.get_errno(), '')"),
    Escape("make a namespace", "seccomp", CTYPES + "\ncall({unshare}, 0)"),
    Escape("load into the kernel", "seccomp", CTYPES + "\ncall({bpf}, 99, 0, 0)", harmless=False),
    Escape("queue work in the kernel", "seccomp", CTYPES + "\ncall(425, 1, 0)", harmless=False),
    # signals and tracing
    Escape("signal the owner", "seccomp", "import os; os.kill({owner}, 0)"),
    Escape("signal everybody", "seccomp", "import os; os.kill(-1, 0)", harmless=False),
    Escape("signal its group", "seccomp", "import os; os.killpg(os.getpgid(0), 0)"),
    Escape("signal the owner by a thread", "seccomp", CTYPES + "\ncall({tgkill}, {owner}, {owner}, 0)"),
    Escape("signal the owner by a descriptor", "seccomp",
           "import os, signal; signal.pidfd_send_signal(os.pidfd_open({owner}), 0)"),
    Escape("have the owner signalled", "seccomp",
           "import fcntl, os; r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, {owner})"),
    Escape("trace the owner", "seccomp", CTYPES + "\ncall({ptrace}, 16, {owner}, 0, 0)", harmless=False),
    Escape("limit the owner", "seccomp", "import resource; resource.prlimit({owner}, resource.RLIMIT_CORE)"),
    # memory and other limits
    Escape("take all memory", "limits", "block = bytearray(1 << 36)", harmless=False),
    Escape("take memory in pieces", "limits", "blocks = [bytearray(1 << 24) for _ in range(80)]"),
    Escape("map memory", "limits", "import mmap; mmap.mmap(-1, 3 << 30)"),
    Escape("raise its limits", "limits",
           "import resource; resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)"),
    Escape("use a privilege", "limits", "import os; os.chroot('/')", harmless=False),
    Escape("open many files", "limits", "files = [open('/dev/null') for _ in range(100)]"),
    Escape("see environment variables", "process", "import os; os.environ['HONE_SECRET']"),
]  # fmt: skip
# How the kernel and the interpreter refuse; in namespaces, what is not to be reached is not there.
REFUSALS = (
    r"(PermissionError|MemoryError|ValueError|KeyError|FileNotFoundError|OSError: \[Errno (3|12|24|27|38)\])"
)
NUMBERS = {
    "x86_64": {"clone3": 435, "unshare": 272, "bpf": 321, "tgkill": 234, "ptrace": 101},
    "aarch64": {"clone3": 435, "unshare": 97, "bpf": 280, "tgkill": 131, "ptrace": 117},
}.get(os.uname().machine, {})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    """The port of a server that a program is not to reach; this process has a secret in its environment."""
    monkeypatch.setenv("HONE_SECRET", "secret")
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made.getsockname()[1]


def attempted(escapes: list[Escape], level: Level, folder: Path, port: int) -> dict[str, str]:
    """What stopped each of `escapes`, tried one after the other by one program; '' for one that got through.

    Each finds a folder with a file `secret` of its own.
    """
    codes = []
    for number, escape in enumerate(escapes):
        here = folder / str(number)
        here.mkdir()
        (here / "secret").write_text("secret")
        places = {"secret": here / "secret", "folder": here, "port": port, "owner": os.getpid(), **NUMBERS}
        code = escape.code
        for name, value in places.items():
            code = code.replace(f"{{{name}}}", str(value))
        codes.append(code)
    outcome = run(Job("", tuple(codes), stop=False), level, Limits(seconds=60.0))
    assert outcome.end == "exit", outcome
    assert len(outcome.reports) == len(escapes), (
        f"{escapes[len(outcome.reports)]} ended the program: {outcome}"
    )
    return {e.name: report["wrong"] for e, report in zip(escapes, outcome.reports, strict=True)}


@at(*LEVELS)
def test_escapes_fail_at_every_level_that_promises_it(level: Level, tmp_path: Path, server: int) -> None:
    promised = [escape for escape in ESCAPES if holds(level, escape.promised)]
    stopped = attempted(promised, level, tmp_path, server)
    assert {name: reason for name, reason in stopped.items() if not re.match(REFUSALS, reason)} == {}
    if holds(level, "seccomp"):
        for folder in tmp_path.iterdir():
            assert [path.name for path in folder.iterdir()] == ["secret"]
            assert (folder / "secret").read_text() == "secret"


@at(*LEVELS[:-1])
def test_escapes_work_one_level_below_or_would_show_nothing(
    level: Level, tmp_path: Path, server: int
) -> None:
    above = LEVELS[LEVELS.index(level) + 1]
    escapes = [escape for escape in ESCAPES if escape.harmless and escape.promised == above]
    assert escapes
    assert {n: reason for n, reason in attempted(escapes, level, tmp_path, server).items() if reason} == {}


@at(*LEVELS)
@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "pow(9, 9**9)",
        "import time; time.sleep(600)",
        "import signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.Signals); signal.pause()",
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,)); t.start(); t.join()",
    ],
)
def test_time_is_up_at_the_deadline(level: Level, code: str) -> None:
    if "threading" in code and level == "limits" and not ROOT:
        pytest.skip("threads are refused at this level")
    assert run(Job("", (code,)), level, Limits(seconds=0.5)).end == "timeout"


@at(*LEVELS)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_printing_without_end_is_stopped(level: Level, stream: str) -> None:
    outcome = run(
        Job(f"import sys\nwhile True: print('x' * 10_000, file=sys.{stream})"), level, Limits(seconds=60.0)
    )
    assert outcome.end == "flood"
    assert len(outcome.stdout) + len(outcome.stderr) < 2**21


HONEST = """
import decimal, fractions, itertools, json, random, re, statistics, heapq, bisect, zoneinfo
---
assert sorted([3, 1, 2]) == [1, 2, 3] and f(4) == 16
---
import asyncio
assert asyncio.run(asyncio.sleep(0, 5)) == 5
---
import contextlib, io
out = io.StringIO()
with contextlib.redirect_stdout(out): print("x")
assert out.getvalue() == "x\\n"
---
import sys
sys.setrecursionlimit(3000)
def g(n): return 0 if n == 0 else 1 + g(n - 1)
assert g(2500) == 2500
---
import time
time.sleep(0.01)
assert time.localtime().tm_year > 2000
---
import numpy
assert numpy.linalg.det(numpy.eye(3)) == 1
---
import os, signal
signal.signal(signal.SIGUSR1, lambda *a: None)
os.kill(os.getpid(), signal.SIGUSR1)
"""
THREADS = """
import threading
found = []
thread = threading.Thread(target=found.append, args=(1,))
thread.start(); thread.join()
assert found == [1]
"""


@at(*LEVELS)
def test_what_honest_programs_need_works(level: Level) -> None:
    tests = HONEST.split("---")
    if level != "limits" or ROOT:
        tests.append(THREADS)
    outcome = run(Job("def f(x): return x * x", tuple(tests), stop=False), level, Limits(seconds=60.0))
    assert [report["wrong"] for report in outcome.reports] == [""] * len(tests)
