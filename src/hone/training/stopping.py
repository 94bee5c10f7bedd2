"""Stopping on request: the first signal lets the step end, or gives it up after a grace; the second stops at once."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Protocol, TypeVar

from hone.core.threads import STOPPING

T = TypeVar("T")

Check = Callable[[], None]  # called where a step can be given up; raises if it is to be

GRACE = 5.0  # seconds that a step, or an evaluation, may still take once a signal has come


def go_on() -> None:
    """The check of whoever is never stopped."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped the run. `at_once`: in the middle of anything, so what is in memory may be half of a step."""

    def __init__(self, number: int, at_once: bool) -> None:
        self.number, self.at_once = number, at_once
        super().__init__(f"stopped by {signal.Signals(number).name}")


class Runs(Protocol):
    """Runs a coroutine to its end, as `asyncio.run` does."""

    def __call__(self, main: Coroutine[Any, Any, T]) -> T:
        """Its value."""
        ...


class Stop:
    """What signals have asked for. It raises `Interrupted` only where it is asked, until a second signal comes.

    `polite` is False where there is nothing to finish: then the first signal raises at once. Used in the main thread.
    """

    def __init__(self, tell: Callable[[str], None] = lambda text: None) -> None:
        self.polite = False
        self._tell = tell
        self._number: int | None = None
        self._until = 0.0  # when the grace is over, by time.monotonic
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def hear(self, number: int, frame: FrameType | None = None) -> None:
        """The handler of signals."""
        if not self.polite or self._number is not None:
            raise Interrupted(number, at_once=True)
        self._number, self._until = number, time.monotonic() + GRACE
        if self._running is not None:  # it may be waiting for something that takes long: wake it
            loop, task = self._running
            loop.call_soon_threadsafe(lambda: loop.call_later(GRACE, task.cancel))
        with suppress(RuntimeError):  # the signal may have come in the middle of printing
            self._tell(
                f"{signal.Signals(number).name}: finishing the step, or giving it up after {GRACE:g} s, and writing a "
                "checkpoint. A second signal stops at once, without one"
            )

    def rest(self) -> None:
        """Raise Interrupted if a signal came. Between two steps, where everything is as the last one left it."""
        if self._number is not None:
            raise Interrupted(self._number, at_once=False)

    def check(self) -> None:
        """Raise Interrupted if a signal came and the grace is over. Within a step, before it moves the weights."""
        if self._number is not None and time.monotonic() >= self._until:
            raise Interrupted(self._number, at_once=False)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """`asyncio.run(main)`, cancelled when the grace is over; Interrupted then."""

        async def watched() -> T:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            self._running = loop, task
            try:
                if self._number is not None:
                    loop.call_later(max(0.0, self._until - time.monotonic()), task.cancel)
                with _woken(loop):
                    return await main
            finally:
                self._running = None

        try:
            return asyncio.run(watched())
        except asyncio.CancelledError:
            self.check()
            raise


@contextmanager
def _woken(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let every signal wake `loop`, also one that the system gave to another thread; then the main one handles it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    loop.add_reader(reader, reader.recv, 1 << 12)
    try:
        yield
    finally:
        loop.remove_reader(reader)
        signal.set_wakeup_fd(before)
        reader.close()
        writer.close()


@contextmanager
def listening(tell: Callable[[str], None]) -> Iterator[Stop]:
    """A `Stop` that hears the signals that end a process, for as long as the block lasts.

    Signals that the process was started to ignore (`nohup`) stay ignored, and outside the main thread none is heard.
    """
    stop = Stop(tell)
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        heard = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, stop.hear) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
