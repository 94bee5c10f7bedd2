"""Calls run beside the event loop: results come as they finish, one call at a time, and nobody's call goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from functools import partial

import numpy as np
import pytest

from engines.engine_models import policy, request, tokens_of
from hone.core.errors import EngineError
from hone.core.sampling import Completion
from hone.engines import NativeEngine, TransformersEngine
from hone.engines.barrier import BarrierEngine

PATIENCE = 30.0  # seconds after which a wait that ought to end is a failure


def answer(request) -> list[Completion]:
    return [Completion(np.array(request.noise.path, np.int32), np.zeros(1, np.float32), "stop", 0)]


class Stepwise(BarrierEngine):
    """Finishes its requests one by one; before the one after the first it waits for `go_on`."""

    name = "stepwise"

    def __init__(self) -> None:
        super().__init__(policy())
        self.go_on = threading.Event()
        self.running = 0
        self.calls: list[list[tuple[int, ...]]] = []
        self.threads: set[threading.Thread] = set()

    def run(self, requests):  # type: ignore[no-untyped-def]
        self.running += 1
        assert self.running == 1
        self.calls.append([r.noise.path for r in requests])
        self.threads.add(threading.current_thread())
        results = []
        for index, asked in enumerate(requests):
            if index == 1:
                assert self.go_on.wait(PATIENCE), "nobody went on while the call was running"
            if asked.params.max_tokens == 13:
                raise EngineError("Thirteen.")
            results.append(answer(asked))
            self.finished(index, results[index])
        self.running -= 1
        return results

    def refresh(self) -> None:
        self.version = self.policy.version


def test_a_finished_request_goes_on_while_the_call_is_running() -> None:
    engine = Stepwise()

    async def episode(name: int) -> list[int]:
        try:
            got = await engine.sample(request("abc", path=(name, 0)))
            if name == 0:
                engine.go_on.set()
            return got[0].tokens.tolist()
        finally:
            engine.leave()

    async def run() -> list[list[int]]:
        engine.expect(3)
        return await asyncio.gather(*(episode(i) for i in range(3)))

    assert asyncio.run(run()) == [[0, 0], [1, 0], [2, 0]]
    assert len(engine.calls) == 1
    assert threading.main_thread() not in engine.threads


def test_the_next_call_waits_for_the_one_before_and_for_every_live_episode() -> None:
    engine = Stepwise()

    async def episode(name: int) -> None:
        try:
            for turn in range(3):
                await engine.sample(request("abc", path=(name, turn)))
                engine.go_on.set()  # the others' requests of this call are finished after this one asks again
        finally:
            engine.leave()

    async def run() -> None:
        engine.expect(3)
        await asyncio.gather(*(episode(i) for i in range(3)))

    asyncio.run(run())
    assert engine.calls == [[(0, turn), (1, turn), (2, turn)] for turn in range(3)]
    assert len(engine.threads) == 1


def test_an_error_reaches_whoever_still_waits() -> None:
    engine = Stepwise()
    engine.go_on.set()

    async def episode(name: int) -> list[Completion]:
        try:
            tokens = 13 if name == 1 else 2
            return await engine.sample(request("abc", path=(name,), max_tokens=tokens))
        finally:
            engine.leave()

    async def run() -> list[object]:
        engine.expect(3)
        return await asyncio.gather(*(episode(i) for i in range(3)), return_exceptions=True)

    first, *others = asyncio.run(run())
    assert isinstance(first, list)
    assert [str(e) for e in others] == ["Thirteen.", "Thirteen."]
    engine.expect(0)  # the schedule has closed


def test_quiet_is_the_end_of_the_call() -> None:
    engine = Stepwise()
    running: list[int] = []

    async def episode(name: int) -> None:
        try:
            await engine.sample(request("abc", path=(name,)))
            if name == 0:
                assert engine.running == 1
                engine.go_on.set()
                await engine.quiet()
                running.append(engine.running)
        finally:
            engine.leave()

    async def run() -> None:
        engine.expect(2)
        await asyncio.gather(episode(0), episode(1))
        await engine.quiet()

    asyncio.run(run())
    assert running == [0]


class Endless(BarrierEngine):
    """Samples for ever, unless it is stopped."""

    name = "endless"

    def __init__(self) -> None:
        super().__init__(policy())
        self.started = threading.Event()
        self.stopped = False

    def run(self, requests):  # type: ignore[no-untyped-def]
        self.started.set()
        try:
            while True:
                self.stop_if_asked()
        except EngineError:
            self.stopped = True
            raise

    def refresh(self) -> None:
        """Nothing to take."""


@pytest.mark.parametrize("episodes", [1, 3])
def test_an_interrupt_stops_the_call_at_its_next_token(episodes: int) -> None:
    engine = Endless()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    async def one(index: int) -> None:
        try:
            await engine.sample(request("abc", path=(index,)))
        finally:
            engine.leave()

    async def all_of_them() -> None:
        engine.expect(episodes)
        await asyncio.gather(*(one(index) for index in range(episodes)))

    def interrupt() -> None:
        engine.started.wait(PATIENCE)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(all_of_them())
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    assert engine.stopped
    engine.expect(0)  # the engine is free again


def test_a_cancelled_episode_does_not_stop_the_call_of_the_others() -> None:
    engine = Stepwise()

    async def episode(name: int) -> list[Completion]:
        try:
            return await engine.sample(request("abc", path=(name,)))
        finally:
            engine.leave()

    async def run() -> list[object]:
        engine.expect(3)
        tasks = [asyncio.create_task(episode(i)) for i in range(3)]
        await tasks[0]
        tasks[1].cancel()
        engine.go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert isinstance(second, asyncio.CancelledError)
    assert [c[0].tokens.tolist() for c in (first, third)] == [[0], [2]]  # type: ignore[index]


@pytest.mark.parametrize(
    "make", [NativeEngine, partial(NativeEngine, chunk=4, max_slots=3), TransformersEngine]
)
def test_engines_hand_over_whole_requests_as_they_finish(make, monkeypatch) -> None:
    engine = make(policy())
    asked = [request("abc", n=3, max_tokens=m, path=(i,), stop=(".",)) for i, m in enumerate((2, 20, 9, 20))]
    events: list[tuple[int, list]] = []
    looks: list[int] = []
    monkeypatch.setattr(engine, "finished", lambda index, found: events.append((index, found)))
    monkeypatch.setattr(engine, "stop_if_asked", lambda: looks.append(len(events)))
    results = engine.run(asked)
    assert sorted(index for index, _ in events) == [0, 1, 2, 3]
    assert all(results[index] == found for index, found in events)
    if isinstance(engine, NativeEngine):  # generate's calls take requests of equal settings
        assert looks[-1] >= 1, "the first was not handed over before the last tokens were sampled"


@pytest.mark.parametrize("make", [NativeEngine, TransformersEngine])
def test_an_engine_that_was_stopped_samples_again_as_ever(make, monkeypatch) -> None:
    engine = make(policy())
    asked = [request("abc", n=4, max_tokens=12, path=(i,)) for i in range(2)]
    wanted = tokens_of(make(policy()).run(asked))

    def stop() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise EngineError("stopped")

    looks: list[int] = []
    monkeypatch.setattr(engine, "stop_if_asked", stop)
    with pytest.raises(EngineError, match="stopped"):
        engine.run(asked)
    assert len(looks) == 3
    monkeypatch.undo()
    assert tokens_of(engine.run(asked)) == wanted
