from __future__ import annotations

import time

import pytest

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
    with pytest.raises(ChildError, match="no JSON value"):
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
