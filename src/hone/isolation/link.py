"""One worker process as its owner sees it: started, asked, its output drained, killed."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from hone.isolation import frames

GRACE = 0.2  # seconds between looks at whether the process still lives; its end normally closes the channel at once
KILLED = 60.0  # seconds in which the system must have ended a process that was killed
KEPT = 2_000  # bytes of what a call prints that are kept: the last ones
_CHUNK = 1 << 16


class EndedError(Exception):
    """The process is gone, or wrote what is no message; the text says how."""


class Link:
    """A worker process in a session of its own. Only the thread that made it may use it: it dies with that thread."""

    def __init__(self, memory: int) -> None:
        self._channel, theirs = socket.socketpair()
        self._output, output = os.pipe()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hone.isolation.worker"]
                + [str(n) for n in (theirs.fileno(), os.getpid(), memory)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # killed with all it forked; Ctrl-C at a terminal does not reach it
                env=_environment(),
            )
        finally:
            theirs.close()
            os.close(output)
        self._channel.setblocking(False)
        os.set_blocking(self._output, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._received = bytearray()
        self._printed = bytearray()

    def send(self, message: bytes, deadline: float) -> None:
        """Write packed bytes. TimeoutError at `deadline`, a value of time.monotonic(); EndedError."""
        self._printed.clear()
        rest = memoryview(message)
        while rest:
            self._wait(selectors.EVENT_WRITE, deadline)
            try:
                rest = rest[self._channel.send(rest) :]
            except BlockingIOError:
                continue
            except OSError:
                raise EndedError(self._end()) from None

    def receive(self, deadline: float) -> dict[str, Any]:
        """The next message. TimeoutError at `deadline`, EndedError."""
        while (message := self._message()) is None:
            self._wait(selectors.EVENT_READ, deadline)
            try:
                chunk = self._channel.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError:
                chunk = b""
            if not chunk:
                raise EndedError(self._end())
            self._received += chunk
        return message

    def printed(self) -> str:
        """The last of what was printed since the last `send`."""
        for _ in range(16):  # a pipe holds no more; a thread that goes on printing does not hold us up
            if not self._drain():
                break
        return self._printed.decode("utf-8", "replace").strip()

    def stop(self) -> None:
        """Kill the process and all of its session, and close what belongs to it. EndedError if it does not go."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        try:
            self.process.wait(KILLED)
        except subprocess.TimeoutExpired:
            raise EndedError(
                f"process {self.process.pid} is still there {KILLED:g} s after it was killed"
            ) from None
        finally:
            self._close()

    def _close(self) -> None:
        self._selector.close()
        self._channel.close()
        os.close(self._output)

    def _message(self) -> dict[str, Any] | None:
        head = frames.HEAD.size
        if len(self._received) < head:
            return None
        (length,) = frames.HEAD.unpack_from(self._received)
        if length > frames.LARGEST:
            raise EndedError("wrote into hone's channel")
        if len(self._received) < head + length:
            return None
        body = bytes(self._received[head : head + length])
        del self._received[: head + length]
        try:
            message = json.loads(body)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise EndedError("wrote into hone's channel")
        return message

    def _wait(self, event: int, deadline: float) -> None:
        """Return when the channel is ready for `event`; meanwhile drain what is printed, so that nothing blocks."""
        self._selector.register(self._channel, event)
        try:
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                ready = [key.fileobj for key, _ in self._selector.select(min(left, GRACE))]
                if self._output in ready:
                    self._drain()
                if self._channel in ready:
                    return
                # A process that user code forked may hold the channel open after the worker is gone.
                if not ready and self.process.poll() is not None:
                    raise EndedError(self._end())
        finally:
            self._selector.unregister(self._channel)

    def _drain(self) -> bool:
        """Read once what was printed, and keep its end. False if there was nothing."""
        try:
            chunk = os.read(self._output, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            with contextlib.suppress(KeyError):  # closed by the process: never ready again
                self._selector.unregister(self._output)
            return False
        self._printed += chunk
        del self._printed[:-KEPT]
        return True

    def _end(self) -> str:
        """How the process ended, if it ended within a moment of closing its channel."""
        try:
            code = self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "closed hone's channel"
        if code >= 0:
            return f"ended with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
        return f"was killed by signal {-code}"


def _environment() -> dict[str, str]:
    """The owner's environment and import path; strings hash alike everywhere, and workers are the parallelism."""
    path = [entry or os.getcwd() for entry in sys.path]
    fixed = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **fixed, "PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "0"}
