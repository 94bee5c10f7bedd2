"""Signals: the step ends or is given up, a checkpoint is left, and the resumed run is as one that never stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

import hone
from faults.left import left_by
from faults.test_kills import RUN
from hone.engines import NativeEngine
from hone.training import checkpoint, loop, stopping, update
from hone.training.stopping import Interrupted, Stop, listening
from notes import Notes


@pytest.fixture(autouse=True)
def as_a_terminal_starts_it() -> Iterator[None]:
    """A test run in the background may have been started to ignore some of the signals."""
    before = {n: signal.signal(n, signal.SIG_DFL) for n in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    hone.train(RUN, out=out, checkpoint={"every": 0})
    return left_by(out)


def stopped(out, number=signal.SIGTERM, **keys) -> Interrupted:
    with pytest.raises(Interrupted) as caught:
        hone.train(RUN, out=out, **{"checkpoint": {"every": 0}, **keys})
    assert caught.value.number == number
    return caught.value


def resumed(out, whole) -> dict:
    hone.train(RUN, out=out, resume=True, checkpoint={"every": 0})
    assert left_by(out) | {"checkpoints": None} == whole | {"checkpoints": None}
    return json.loads((out / "summary.json").read_text())


def steps(out) -> list[int]:
    return checkpoint.steps(out / "checkpoints")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_step_that_takes_a_moment_is_finished(number, whole, tmp_path, monkeypatch):
    judge = loop.judge

    def judging(*args):
        os.kill(os.getpid(), number)
        return judge(*args)

    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    monkeypatch.setattr(loop, "judge", judging)
    notes = Notes()
    with pytest.raises(Interrupted):
        hone.train(RUN, out=tmp_path / "run", checkpoint={"every": 0}, progress=notes)
    assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before
    assert any(signal.Signals(number).name in text and "second signal" in text for text in notes.texts)
    monkeypatch.setattr(loop, "judge", judge)
    assert steps(tmp_path / "run") == [1]
    assert resumed(tmp_path / "run", whole)["redone_seconds"] == 0


def test_a_step_that_samples_for_long_is_given_up_and_counted_as_lost(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "GRACE", 0.05)
    calls, sample, ended = [], NativeEngine.run, threading.Event()

    def endless(self, requests):
        calls.append(requests[0].noise.purpose)
        if calls.count("train") < 2:
            return sample(self, requests)
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            while True:
                self.stop_if_asked()
                time.sleep(0.001)
        finally:
            ended.set()

    with monkeypatch.context() as patch:
        patch.setattr(NativeEngine, "run", endless)
        assert not stopped(tmp_path / "run").at_once
    assert ended.is_set()
    assert steps(tmp_path / "run") == [1]
    summary = resumed(tmp_path / "run", whole)
    assert summary["redone_seconds"] > 0


def test_a_signal_that_another_thread_gets_wakes_the_main_one(tmp_path, monkeypatch):
    """Which thread the system gives a signal to is its own choice."""
    monkeypatch.setattr(stopping, "GRACE", 0.05)
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()

    sample = NativeEngine.run

    def endless(self, requests):
        if requests[0].noise.purpose != "train":
            return sample(self, requests)
        time.sleep(0.5)  # the main thread waits by now
        signal.pthread_kill(other.ident, signal.SIGTERM)
        while True:
            self.stop_if_asked()
            time.sleep(0.001)

    monkeypatch.setattr(NativeEngine, "run", endless)
    late = threading.Timer(20, lambda: os.kill(os.getpid(), signal.SIGTERM))
    late.start()
    began = time.monotonic()
    try:
        stopped(tmp_path / "run")
    finally:
        over.set()
        late.cancel()
    assert time.monotonic() - began < 15


def at_pass(number, monkeypatch, signals=1):
    """Signals come before forward pass `number` of training, and the grace is over at once."""
    passes, real = [], update._microbatch

    def microbatch(*args):
        passes.append(1)
        if len(passes) == number:
            for _ in range(signals):
                os.kill(os.getpid(), signal.SIGTERM)
        return real(*args)

    monkeypatch.setattr(stopping, "GRACE", 0.0)
    monkeypatch.setattr(update, "_microbatch", microbatch)
    return passes


def test_an_update_is_given_up_before_it_moves_the_weights(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        at_pass(2, patch)  # of step 2, whose rollouts are all sampled
        stopped(tmp_path / "run")
    assert steps(tmp_path / "run") == [1]
    summary = resumed(tmp_path / "run", whole)
    assert summary["redone_rollouts"] == RUN["num_generations"] * RUN["problems_per_step"]
    assert summary["redone_tokens"] > 0


def test_a_step_whose_first_update_is_made_is_finished(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        passes = at_pass(2, patch)
        stopped(tmp_path / "run", num_iterations=3)
    assert len(passes) == 3
    assert steps(tmp_path / "run") == [1]


def test_a_second_signal_stops_at_once_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        at_pass(3, patch, signals=2)
        assert stopped(tmp_path / "run", checkpoint={"every": 1}).at_once
    assert steps(tmp_path / "run") == [1, 2]


def test_an_evaluation_that_was_given_up_is_made_by_the_resumption(whole, tmp_path, monkeypatch):
    measure = loop.evaluate

    def evaluating(*args, **keys):
        if args[0].version == 1:  # the policy's, after step 1
            os.kill(os.getpid(), signal.SIGTERM)
        return measure(*args, **keys)

    monkeypatch.setattr(stopping, "GRACE", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "evaluate", evaluating)
        stopped(tmp_path / "run")
    assert steps(tmp_path / "run") == [1]
    assert [line["step"] for line in hone.training.run.Run(tmp_path / "run").evals()] == [0]
    resumed(tmp_path / "run", whole)


def test_before_the_first_step_there_is_nothing_to_finish():
    with listening(lambda text: None) as stop:
        assert not stop.polite
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(signal.SIGTERM)
    assert caught.value.at_once


def test_signals_that_the_process_was_started_to_ignore_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening(lambda text: None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_waits_is_woken_when_the_grace_is_over(monkeypatch):
    monkeypatch.setattr(stopping, "GRACE", 0.02)
    stop = Stop()
    stop.polite = True

    async def work():
        stop.hear(signal.SIGTERM)
        await asyncio.sleep(600)

    with pytest.raises(Interrupted):
        stop.run(work())


def test_a_cancellation_that_no_signal_asked_for_is_not_a_stop():
    async def work():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        Stop().run(work())
