"""The thread in which the trainer runs rewards that are live objects: waited for up to a deadline, never killed."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Lane:
    """One thread with one event loop, for as long as this object lives; clients that belong to a loop can be kept."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._back: threading.Event | None = (
            None  # set when a call that was given up on lets go of the thread
        )
        threading.Thread(target=self._loop.run_forever, daemon=True, name="hone-reward").start()
        weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)

    async def run(self, make: Callable[[], Coroutine[Any, Any, T]], seconds: float) -> T:
        """The value of the coroutine that `make` makes. TimeoutError after `seconds`.

        An async call is cancelled then; a sync one goes on, and until it comes back every further call is a
        TimeoutError at once: the thread is taken.
        """
        if self._back is not None and not self._back.is_set():
            raise TimeoutError(
                "an earlier call has not come back yet, and in the trainer it cannot be killed"
            )
        future = asyncio.run_coroutine_threadsafe(_caught(make), self._loop)
        await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
        if not future.done():
            future.cancel()
            self._back = threading.Event()
            self._loop.call_soon_threadsafe(self._back.set)
            await asyncio.to_thread(self._back.wait, 1.0)  # the moment that a cancelled async call needs
            raise TimeoutError(f"no result within {seconds:g} s")
        value, error = future.result()
        if error is not None:
            raise error
        return value


async def _caught(make: Callable[[], Coroutine[Any, Any, T]]) -> tuple[Any, Exception | None]:
    """The value or what was raised. What would end the thread, SystemExit above all, becomes an ordinary error."""
    try:
        return await make(), None
    except Exception as error:
        return None, error
    except (SystemExit, KeyboardInterrupt) as error:
        return None, RuntimeError(f"{type(error).__name__}: {error}")
