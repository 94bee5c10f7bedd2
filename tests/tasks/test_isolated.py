from __future__ import annotations

import signal
import time

import pytest

from hone.core import threads
from hone.tasks.isolated import Child, ChildError


def test_a_call_that_hangs_is_killed_and_the_next_one_works() -> None:
    worker = Child()
    assert worker.call("operator:add", (2, 3), 5) == 5
    start = time.perf_counter()
    with pytest.raises(TimeoutError, match=r"0\.3 s"):
        worker.call("time:sleep", (60,), 0.3)
    with pytest.raises(TimeoutError):
        worker.call("operator:pow", (9, 9**9), 0.3)  # one C call that holds the interpreter
    assert time.perf_counter() - start < 20
    assert worker.call("operator:add", (2, 3), 5) == 5
    worker._stop()


def test_errors_come_back_with_their_traceback() -> None:
    worker = Child()
    with pytest.raises(ChildError, match="ZeroDivisionError") as caught:
        worker.call("operator:truediv", (1, 0), 5)
    assert "Traceback" in str(caught.value)
    with pytest.raises(ChildError, match="no_such_module"):
        worker.call("operator:add", (1, 2), 5, needs=("no_such_module",))
    with pytest.raises(ChildError, match="exit code 7"):
        worker.call("os:_exit", (7,), 5)
    with pytest.raises(ChildError, match="pickle"):
        worker.call("threading:Lock", (), 5)
    assert worker.call("operator:add", (2, 3), 5) == 5
    worker._stop()


def test_strings_hash_the_same_in_every_child() -> None:
    hashes = set()
    for _ in range(2):
        worker = Child()
        hashes.add(worker.call("builtins:hash", ("text",), 5))
        worker._stop()
    assert len(hashes) == 1


def test_a_child_that_a_thread_without_signals_started_has_all_of_them() -> None:
    """Checkers limit themselves by alarms, and a child inherits what its starter blocks."""
    thread, checker = threads.worker("starts a child"), Child()
    assert signal.SIGALRM in thread.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
    blocked = ("signal:pthread_sigmask", (signal.SIG_BLOCK, ()), 5)
    assert thread.submit(checker.call, *blocked).result() == set()
    checker._stop()
