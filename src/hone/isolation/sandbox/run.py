"""Runs one program in the sandbox, for a bounded time, with bounded output, and says what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from hone.isolation.sandbox import bubblewrap
from hone.isolation.sandbox.levels import Level, holds

START_SECONDS = 60.0  # for the interpreter on a busy machine; they are not part of the program's own time
KILLED = 60.0  # seconds in which the system must have ended a program that was killed
MOST_OUTPUT = 1 << 20  # bytes of each stream; a program that prints more is killed
_SOURCE = str(Path(__file__).parents[3])
_INSIDE = f"""import sys
sys.path.insert(0, {_SOURCE!r})
from hone.isolation.sandbox.inside import main
main({_SOURCE!r})"""
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1",
                "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # fmt: skip


class SandboxError(Exception):
    """The sandbox could not be set up, so the program was not run."""


@dataclass(frozen=True)
class Job:
    """A Python program. Without `tests` it runs as a script with `stdin`; else as a module, and then each test in its
    namespace, up to the first that fails if `stop`."""

    program: str
    tests: tuple[str, ...] | None = None
    stdin: str = ""
    stop: bool = True


@dataclass(frozen=True)
class Limits:
    """`seconds` of wall-clock and of processor time each, GiB of address space."""

    seconds: float = 10.0
    memory_gib: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a program ended: `exit` with `code` (negative: by that signal), `timeout`, or `flood` (it printed too much).

    `reports` has one mapping for each test that was reached (`test`, `wrong`), or one with `program`, the exception
    that the program itself raised. `seconds` is the time it took.
    """

    end: Literal["exit", "timeout", "flood"]
    code: int | None
    stdout: str
    stderr: str
    reports: tuple[Mapping[str, Any], ...]
    seconds: float


@dataclass
class _Watch:
    """A running program: its streams, what they held so far, and until when it may run."""

    process: subprocess.Popen[bytes]
    reports: BinaryIO
    deadline: float
    token: bytes
    held: dict[str, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray(), "reports": bytearray()}
    )


def run(job: Job, level: Level, limits: Limits = Limits()) -> Outcome:
    """Run `job` at exactly `level`. SandboxError if the level cannot be had here; nothing that the program does raises.

    Must be called in a thread that outlives the program: the kernel kills the program when that thread ends.
    """
    token = secrets.token_hex(16)
    with _started(job, level, limits, token) as watch:
        began = _ready(watch, level)
        watch.deadline = began + limits.seconds
        end = _watched(watch)
        took = time.monotonic() - began
    code = watch.process.returncode if end == "exit" else None
    texts = {name: bytes(held).decode("utf-8", "replace") for name, held in watch.held.items()}
    reports = tuple(message for message in _messages(watch) if "ready" not in message)
    return Outcome(end, code, texts["stdout"], texts["stderr"], reports, took)


@contextlib.contextmanager
def _started(job: Job, level: Level, limits: Limits, token: str) -> Iterator[_Watch]:
    inside = {
        "program": job.program,
        "tests": job.tests,
        "stop": job.stop,
        "level": level,
        "seconds": limits.seconds,
        "memory": int(limits.memory_gib * 2**30),
        "token": token,
    }
    wrap = holds(level, "bubblewrap")
    with contextlib.ExitStack() as stack:
        # Files, not pipes, so that nobody has to feed them while the output is drained.
        job_file = stack.enter_context(tempfile.TemporaryFile())
        stdin = stack.enter_context(tempfile.TemporaryFile())
        for file, text in ((job_file, json.dumps(inside)), (stdin, job.stdin)):
            file.write(text.encode("utf-8", "replace"))
            file.seek(0)
        read, write = os.pipe()
        reports = stack.enter_context(os.fdopen(read, "rb", buffering=0))
        passed = (job_file.fileno(), write)
        command = [sys.executable, "-s", "-P", "-c", _INSIDE]
        command += [str(n) for n in (*passed, 0 if wrap else os.getpid())]
        try:
            process = subprocess.Popen(
                bubblewrap.wrapped(command, f"{_SOURCE}/hone") if wrap else command,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=passed,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise SandboxError(f"{level}: {error}") from error
        finally:
            os.close(write)
        stack.callback(_kill, process)
        yield _Watch(process, reports, time.monotonic() + START_SECONDS, token.encode())


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the program and its session, which at the weaker levels may hold more processes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(
        subprocess.TimeoutExpired
    ):  # the system ends it when it can; nobody reads it any more
        process.wait(KILLED)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _ready(watch: _Watch, level: Level) -> float:
    """Wait until the sandbox stands; the moment at which it did. SandboxError with the reason if it does not."""
    end = _watched(watch, first=True)
    for message in _messages(watch):
        if message.get("ready") == level:
            return time.monotonic()
        if "refused" in message:
            raise SandboxError(str(message["refused"]))
    said = bytes(watch.held["stderr"]).decode("utf-8", "replace").strip().splitlines()
    reason = said[-1] if said else f"the interpreter ended with code {watch.process.returncode}"
    raise SandboxError(f"{level}: {reason if end == 'exit' else f'not ready in {START_SECONDS:g} s'}")


def _watched(watch: _Watch, first: bool = False) -> Literal["exit", "timeout", "flood"]:
    """Hold what the streams give until the program ends, its time is up, or it floods; with `first`, until a report."""
    assert watch.process.stdout is not None and watch.process.stderr is not None
    streams = {"stdout": watch.process.stdout, "stderr": watch.process.stderr, "reports": watch.reports}
    with selectors.DefaultSelector() as selector:
        for name, stream in streams.items():
            os.set_blocking(stream.fileno(), False)  # type: ignore[attr-defined]
            selector.register(stream, selectors.EVENT_READ, name)
        while True:
            ended = (
                watch.process.poll() is not None
            )  # before the last look, so that nothing is left in a pipe
            left = watch.deadline - time.monotonic()
            if left <= 0 and not ended:
                return "timeout"
            if not selector.get_map() and not ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    watch.process.wait(left)
                continue
            # A process that the program forked may hold the streams open: their end alone is not waited for.
            ready = selector.select(0 if ended else min(left, 0.05))
            for key, _ in ready:
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    selector.unregister(key.fileobj)
                held = watch.held[key.data]
                held += chunk
                if len(held) > MOST_OUTPUT:
                    return "flood"
            if first and b"\n" in watch.held["reports"]:
                return "exit"
            if ended and not ready:
                return "exit"


def _messages(watch: _Watch) -> Iterator[Mapping[str, Any]]:
    """Reports that carry the token."""
    for line in bytes(watch.held["reports"]).split(b"\n"):
        if line.startswith(watch.token):
            yield json.loads(line.removeprefix(watch.token))
