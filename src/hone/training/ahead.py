"""Work of the next step that goes on in a thread beside the present one."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Generic, TypeVar

from hone.core.errors import EngineError
from hone.core.threads import worker

T = TypeVar("T")

LOOK = 0.2  # seconds between looks at whether the run is to stop
PATIENCE = (
    600.0  # seconds for the call of an engine to come to its next token, where it compiles or captures first
)


class Ahead(Generic[T]):
    """Runs one coroutine at a time in an event loop and a thread of its own."""

    def __init__(self) -> None:
        self._thread = worker("hone-ahead")
        self._result: Future[T] | None = None
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[Any]

    def start(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        """Begin `work`. What was begun before must have been taken."""
        assert self._result is None
        self._started.clear()
        self._result = self._thread.submit(lambda: asyncio.run(self._run(work)))

    async def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._loop, self._task = asyncio.get_running_loop(), task
        self._started.set()
        return await work()

    def take(self, check: Callable[[], None]) -> T | None:
        """Wait for the result of what was begun; None if nothing was. Raises what the work raised.

        `check` is called several times a second meanwhile, and may raise.
        """
        if self._result is None:
            return None
        while not wait([self._result], LOOK).done:
            check()
        found = self._result.result()
        self._result = None
        return found

    def stop(self) -> None:
        """Cancel what was begun, as an interrupt would, and wait for its end. Its result and error are dropped.

        Raises EngineError if it does not end within `PATIENCE` seconds.
        """
        result, self._result = self._result, None
        if result is None:
            return
        if self._started.wait(PATIENCE):
            with suppress(RuntimeError):  # its loop has closed: it was over already
                self._loop.call_soon_threadsafe(self._task.cancel)
        if not wait([result], PATIENCE).done:
            raise EngineError(
                f"The thread that samples a step ahead (hone-ahead of process {os.getpid()}) did not stop within "
                f"{PATIENCE:g} s.",
                "End the process; the newest checkpoint is whole.",
            )
