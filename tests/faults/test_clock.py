"""The clock may jump, and every wait has an end that names whom it waited for."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

import hone
from faults.left import untimed
from faults.test_kills import RUN
from hone.core.errors import EngineError
from hone.isolation.link import EndedError, Link
from hone.training import ahead, arms
from hone.training.ahead import Ahead

SOURCE = Path(hone.__file__).parent
# The date in the name of a folder, and in the text of a lock.
DATES = {("api.py", "strftime"), ("lock.py", "now")}


def calls(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node, node.func


def test_durations_come_from_a_clock_that_does_not_jump():
    wall = {"time", "now", "today", "utcnow", "strftime", "localtime", "gmtime", "ctime"}
    found = {
        (path.name, function.attr)
        for path in SOURCE.rglob("*.py")
        for _, function in calls(path)
        if isinstance(function.value, ast.Name) and function.value.id in ("time", "datetime", "date")
        and function.attr in wall
    }  # fmt: skip
    assert found == DATES


def test_no_process_is_waited_for_without_a_deadline():
    found = [
        f"{path.name}:{node.lineno}"
        for path in SOURCE.rglob("*.py")
        for node, function in calls(path)
        if function.attr in ("wait", "communicate") and not node.args and not node.keywords
    ]
    assert found == []


def test_a_clock_that_jumps_back_and_forth_changes_nothing(tmp_path, monkeypatch):
    calm = hone.train(RUN, out=tmp_path / "calm")
    jumps = itertools.cycle((0.0, 4e9, 1.0, 2e9))
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    run = hone.train(RUN, out=tmp_path / "run")
    assert [untimed(line) for line in run.metrics()] == [untimed(line) for line in calm.metrics()]
    assert all(
        0 <= value < 600 for line in run.metrics() for key, value in line.items() if key.startswith("time/")
    )


def test_a_thread_that_does_not_stop_is_named(monkeypatch):
    monkeypatch.setattr(ahead, "PATIENCE", 0.05)
    held, worker = threading.Event(), Ahead()

    async def stubborn():
        held.wait(30)

    worker.start(stubborn)
    with pytest.raises(EngineError, match=r"hone-ahead of process \d+\) did not stop within 0.05 s"):
        worker.stop()
    held.set()


def test_whoever_waits_for_samples_is_asked_whether_to_go_on(monkeypatch):
    monkeypatch.setattr(ahead, "LOOK", 0.01)
    worker = Ahead()
    worker._result = Future()
    with pytest.raises(RuntimeError, match="enough"):
        worker.take(lambda: (_ for _ in ()).throw(RuntimeError("enough")))


def test_a_killed_worker_that_does_not_go_is_named(monkeypatch):
    link = Link(1 << 32)
    wait = link.process.wait

    def stays(timeout=None):
        raise subprocess.TimeoutExpired("worker", timeout)

    monkeypatch.setattr(link.process, "wait", stays)
    with pytest.raises(EndedError, match=f"process {link.process.pid} is still there"):
        link.stop()
    wait(30)


@pytest.mark.parametrize(
    ("told", "words"), [(False, "wrote nothing into its log"), (True, "did not end within")]
)
def test_an_arm_that_hangs_is_killed_and_named(told, words, tmp_path, monkeypatch):
    monkeypatch.setattr(arms, "LOOK", 0.02)
    monkeypatch.setattr(arms, "LEAVE" if told else "SILENCE", 0.1)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    arm = arms.Arm("rloo", 0, None, tmp_path / "seed0")
    arm.log.write_text("the last line\n")
    workers = arms.Workers(1, print)
    if told:
        workers.stopping.set()
    with pytest.raises(TimeoutError, match=rf"process {process.pid} {words}.*was killed\. the last line"):
        workers._wait(process, arm)
    assert process.wait(30) == -9
