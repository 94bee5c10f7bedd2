"""The worker process: answers one request at a time, and holds nothing that its owner could not lose.

It never loads torch: a worker starts in a moment, is small, and can be killed. The owner is `hone.isolation.pool`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from hone.core.errors import HoneError
from hone.core.loading import describe, load_callable
from hone.isolation import frames
from hone.isolation.linux import die_with_parent

_HALTED = "import of torch halted"  # the import system's words for a module that is not to be imported
NO_TORCH = "Workers do not load torch. Write `inprocess:` before the reward to run it in the trainer instead."


def main() -> None:
    """Serve `channel`, a descriptor, for the process `parent`, within `memory` bytes of address space."""
    channel, parent, memory = map(int, sys.argv[1:])
    die_with_parent(parent)
    os.register_at_fork(after_in_child=_follow)  # what user code forks ends with its worker
    if sys.platform == "linux":  # elsewhere the limit is not kept
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's business
    sys.modules["torch"] = None  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    with contextlib.suppress(EOFError, OSError):
        _serve(channel)


def _follow() -> None:
    with contextlib.suppress(OSError):
        die_with_parent(None)


def _serve(channel: int) -> None:
    home, process = os.getcwd(), os.getpid()
    with open(os.devnull, "w") as nowhere:
        while True:
            request = frames.read(channel)
            os.chdir(home)  # paths of requests are relative to it, whatever user code did
            # Where the kernel does not kill orphans, this ends a call that never ends.
            faulthandler.dump_traceback_later(request["patience"], exit=True, file=nowhere)
            reply = _answer(request, lambda: frames.write(channel, {"ready": True}))
            if os.getpid() != process:
                os._exit(0)  # a copy that user code forked and let return: only the worker answers
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm left behind would hit the next call
            with contextlib.suppress(OSError, ValueError):  # user code may have closed it
                sys.stdout.flush()
            try:
                frames.write(channel, reply)
            except (TypeError, ValueError) as error:
                frames.write(channel, {"error": f"its value is not JSON: {describe(error)}"})


def _answer(request: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """What came of a request: `value`, `timeout`, `error`, or `refused` (a HoneError as class, what and mend)."""
    try:
        for need in request["needs"]:
            load_callable(need) if ":" in need else importlib.import_module(need)
        module, _, name = request["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        ready()
        return {"value": function(*request["args"])}
    except HoneError as error:
        mend = NO_TORCH if _HALTED in error.what else error.mend
        return {"refused": [type(error).__name__, error.what, mend]}
    except TimeoutError as error:
        return {"timeout": describe(error)}
    except (
        BaseException
    ) as error:  # SystemExit and KeyboardInterrupt of user code end its call, not the worker
        # What a process that ran out of memory still holds is anybody's guess: it is replaced.
        return {"error": with_mend(describe(error)), "leave": isinstance(error, MemoryError)}


def with_mend(detail: str) -> str:
    """`detail` of an error, with the way out where it is that torch was asked for."""
    return f"{detail.rstrip()}\n{NO_TORCH}" if _HALTED in detail else detail


if __name__ == "__main__":
    main()
