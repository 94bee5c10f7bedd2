"""A pool of workers: calls run in parallel in processes that can be killed, the only limit that holds against any code.

Symbolic mathematics, backtracking patterns and other people's functions can run for ever on a short text, often inside
one C call that neither signals nor threads interrupt.
"""

from __future__ import annotations

import atexit
import functools
import os
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from hone.core import errors
from hone.core.threads import leave_signals
from hone.isolation import frames
from hone.isolation.link import EndedError, Link

IMPORT_SECONDS = 300.0  # first imports on a busy machine; they are not part of a call's own limit
MEMORY_GIB = 4.0
MOST_WORKERS = 32


class WorkerError(Exception):
    """What went wrong in a worker: one line, then the traceback and what was printed."""


@dataclass(frozen=True)
class Answer:
    """What a call returned, and the last of what it printed."""

    value: Any
    printed: str = ""


@dataclass(frozen=True)
class _Call:
    message: bytes
    seconds: float


class Pool:
    """Workers of `memory_gib` GiB of address space each, at most `size` (default: one a core). Thread-safe.

    A worker is started when a call finds none idle, serves one call at a time, is kept for later ones, and is
    replaced after it was killed or ended. All end with this process, even if it is killed.
    """

    def __init__(self, memory_gib: float = MEMORY_GIB, size: int | None = None) -> None:
        self.size = size or min(cores(), MOST_WORKERS)
        self._memory = int(memory_gib * 2**30)
        self._calls: queue.SimpleQueue[tuple[_Call, Future[Answer]]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []

    def submit(
        self, function: str, args: Sequence[Any], seconds: float, needs: Sequence[str] = ()
    ) -> Future[Answer]:
        """`function(*args)` in a worker. `function` is `package.module:name`; arguments and value are JSON.

        `needs` are modules, or `path.py:function` sources, imported before the clock starts. The future raises
        TimeoutError after `seconds`, WorkerError with its traceback if the function raised or the process ended,
        and a HoneError that the function raised as itself. TypeError or ValueError here if `args` are not JSON.
        """
        patience = IMPORT_SECONDS + seconds + 10
        message = {"function": function, "args": list(args), "needs": list(needs), "patience": patience}
        future: Future[Answer] = Future()
        self._calls.put((_Call(frames.packed(message), seconds), future))
        with self._lock:
            if not self._idle.acquire(blocking=False) and len(self._slots) < self.size:
                self._slots.append(_Slot(self._calls, self._idle, self._memory))
        return future

    def call(self, function: str, args: Sequence[Any], seconds: float, needs: Sequence[str] = ()) -> Any:
        """The value of `submit`, waited for."""
        return self.submit(function, args, seconds, needs).result().value

    def processes(self) -> list[int]:
        """Process numbers of the workers that live."""
        links = [slot.link for slot in self._slots]
        return [link.process.pid for link in links if link is not None and link.process.poll() is None]

    def stop(self) -> None:
        """Kill every worker; calls under way fail."""
        for slot in self._slots:
            link = slot.link
            if link is not None:
                link.process.kill()


class _Slot:
    """A thread that owns at most one worker; the kernel kills the worker when the thread ends, and so never before."""

    def __init__(
        self,
        calls: queue.SimpleQueue[tuple[_Call, Future[Answer]]],
        idle: threading.Semaphore,
        memory: int,
    ) -> None:
        self.link: Link | None = None
        self._calls, self._idle, self._memory = calls, idle, memory
        threading.Thread(target=self._serve, daemon=True, name="hone-worker").start()

    def _serve(self) -> None:
        leave_signals()
        while True:
            call, future = self._calls.get()
            if future.set_running_or_notify_cancel():
                try:
                    answer = self._answer(call)
                except BaseException as error:  # whatever it is belongs to whoever waits
                    future.set_exception(error)
                else:
                    future.set_result(answer)
            self._idle.release()

    def _answer(self, call: _Call) -> Answer:
        if self.link is not None and self.link.process.poll() is not None:
            self._replace()  # it ended between two calls, for a reason that was not this one's
        if self.link is None:
            self.link = Link(self._memory)
        link, late = self.link, f"not imported within {IMPORT_SECONDS:g} s"
        try:
            deadline = time.monotonic() + IMPORT_SECONDS
            link.send(call.message, deadline)
            reply = link.receive(deadline)
            if "ready" in reply:
                late = f"no result within {call.seconds:g} s"
                reply = link.receive(time.monotonic() + call.seconds)
        except TimeoutError:
            printed = link.printed()
            self._replace()
            raise TimeoutError(_with(late, printed)) from None
        except EndedError as error:
            printed = link.printed()
            self._replace()
            raise WorkerError(_with(f"the worker {error}", printed)) from None
        printed = link.printed()
        if reply.get("leave"):
            self._replace()
        return _meaning(reply, printed)

    def _replace(self) -> None:
        link, self.link = self.link, None
        if link is not None:
            link.stop()


def _meaning(reply: dict[str, Any], printed: str) -> Answer:
    """The value of a reply, or the exception that it is."""
    if "value" in reply:
        return Answer(reply["value"], printed)
    if "refused" in reply:
        name, what, mend = reply["refused"]
        raise getattr(errors, name, errors.HoneError)(what, mend)
    if "timeout" in reply:
        raise TimeoutError(_with(reply["timeout"], printed))
    raise WorkerError(_with(str(reply.get("error", "it answered nothing that hone knows")), printed))


def _with(detail: str, printed: str) -> str:
    return f"{detail}\nIt printed last:\n{printed}" if printed else detail


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def pool(purpose: str, memory_gib: float = MEMORY_GIB) -> Pool:
    """The pool for `purpose`: calls that share a purpose share workers and their imports."""
    made = Pool(memory_gib)
    owner = os.getpid()

    def stop() -> None:
        if os.getpid() == owner:  # not in a process that was forked from it
            made.stop()

    atexit.register(stop)
    return made


os.register_at_fork(
    after_in_child=pool.cache_clear
)  # threads and workers stay with the parent: make new ones
