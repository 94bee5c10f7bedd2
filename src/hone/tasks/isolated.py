"""Runs checkers in a child process that can be killed: the only limit that holds against any code, in any
thread.

Symbolic mathematics, backtracking patterns and other people's functions can run for ever on a short text, often inside
one C call that neither signals nor threads interrupt. The child hashes strings the same way every time
(PYTHONHASHSEED=0), so that what it computes depends on its arguments alone.
"""

from __future__ import annotations

import atexit
import faulthandler
import functools
import importlib
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection, Pipe
from typing import Any

from hone.core.loading import describe, load_callable
from hone.tasks.wire import packed, unpacked

IMPORT_SECONDS = 300.0  # a child's first imports on a busy machine; they are not part of a call's own limit


class ChildError(Exception):
    """What went wrong in the child: one line, then the traceback."""


class Child:
    """One process that serves one call at a time; started at the first call and again after it was killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._owner = 0

    def call(self, function: str, args: tuple[Any, ...], seconds: float, needs: tuple[str, ...] = ()) -> Any:
        """`function(*args)` in the child. `function` is `package.module:name`; arguments and value are JSON
        values, problems or verdicts (see `wire`).

        `needs` are modules, or `path.py:function` sources, imported before the clock starts. Raises
        TimeoutError after `seconds`, when the child is killed, and ChildError with its traceback if the
        function raised or the process ended.
        """
        with self._lock:
            connection = self._ready()
            try:
                connection.send_bytes(packed(function, seconds, list(needs), *args))
                kind, value = self._receive(connection, IMPORT_SECONDS)
                if kind == "ready":
                    kind, value = self._receive(connection, seconds)
            except TimeoutError:
                self._stop()
                raise TimeoutError(f"no result within {seconds:g} s") from None
            except (EOFError, OSError):
                code = self._process.wait() if self._process else None
                self._stop()
                raise ChildError(f"the checker's process ended with exit code {code}") from None
        if kind == "timeout":
            raise TimeoutError(value)
        if kind == "error":
            raise ChildError(value)
        return value

    def _ready(self) -> Connection:
        if self._connection is not None and self._owner == os.getpid():
            return self._connection
        # After a fork the process is the parent's child, not ours: leave it alone and start another.
        ours, theirs = Pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from hone.tasks.isolated import serve; serve({theirs.fileno()})"],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a checker prints must not mix with a command's own output
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
                "PYTHONHASHSEED": "0",
            },
        )
        theirs.close()
        self._connection, self._owner = ours, os.getpid()
        return ours

    @staticmethod
    def _receive(connection: Connection, seconds: float) -> tuple[str, Any]:
        if not connection.poll(seconds):
            raise TimeoutError
        kind, value = unpacked(connection.recv_bytes())
        return kind, value

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None


@functools.cache
def child(purpose: str) -> Child:
    """The process for `purpose`: calls that share a purpose share imports, and take turns."""
    made = Child()
    atexit.register(made._stop)
    return made


def serve(descriptor: int) -> None:
    """The child's loop: answer requests until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business; the pipe then closes
    connection = Connection(descriptor)
    with open(os.devnull, "w") as nowhere:
        while True:
            try:
                function, seconds, needs, *args = unpacked(connection.recv_bytes())
            except (EOFError, OSError):
                return
            try:
                for need in needs:
                    load_callable(need) if ":" in need else importlib.import_module(need)
                module, _, name = function.partition(":")
                found = getattr(importlib.import_module(module), name)
                connection.send_bytes(packed("ready", None))
                # If the parent dies during a call that never ends, nobody else would end this process.
                faulthandler.dump_traceback_later(seconds + 10, exit=True, file=nowhere)
                reply = ("value", found(*args))
            except TimeoutError as error:
                reply = ("timeout", describe(error))
            except (Exception, SystemExit) as error:
                reply = ("error", describe(error))
            finally:
                faulthandler.cancel_dump_traceback_later()
            try:
                connection.send_bytes(packed(*reply))
            except (TypeError, ValueError, RecursionError) as error:
                connection.send_bytes(packed("error", describe(error)))
