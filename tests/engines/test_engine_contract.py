"""What every engine promises its callers: barriers, stops, limits, versions, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from engines.engine_models import VOCABULARY, Letters, Policy, policy, request, tokens_of
from hone.core.errors import EngineError
from hone.core.sampling import Completion
from hone.engines import NativeEngine, TransformersEngine
from hone.engines.barrier import BarrierEngine
from hone.engines.checks import end_tokens

ENGINES = pytest.mark.parametrize("engine", [NativeEngine, TransformersEngine])


@pytest.mark.parametrize(
    "engine", [NativeEngine, TransformersEngine, partial(NativeEngine, chunk=5, max_slots=7)]
)
def test_completions_end_at_the_first_stop_and_keep_it(engine: Callable[[Policy], BarrierEngine]) -> None:
    asked = request("abcd", n=64, max_tokens=10, stop=("ab", "e\n", "."))
    reasons = set()
    for c in engine(policy()).run([asked])[0]:
        text = Letters().decode(c.tokens.tolist())
        reasons.add((c.finish_reason, text[-1] in "\nb.", text[-1] == "$"))
        ends = [i for i in range(1, len(text) + 1) if text[:i].endswith(("ab", "e\n", ".", "$"))]
        assert c.finish_reason == ("stop" if ends else "length")
        assert len(text) == (ends[0] if ends else 10)
        assert len(c.logprobs) == len(c.tokens)
    assert {r[0] for r in reasons} == {"stop", "length"}
    assert ("stop", False, True) in reasons
    assert ("stop", True, False) in reasons


@ENGINES
def test_end_token_in_the_last_place_is_a_stop(engine: type[BarrierEngine]) -> None:
    drawn = engine(policy()).run([request("abc", n=200, max_tokens=1)])[0]
    assert all((c.finish_reason == "stop") == (c.tokens[0] == 1) for c in drawn)
    assert 0 < sum(c.finish_reason == "stop" for c in drawn) < 200


def test_end_tokens_are_the_tokenizers_and_the_models() -> None:
    subject = policy()
    subject.model.generation_config.eos_token_id = [3, 5]
    assert end_tokens(subject) == (1, 3, 5)
    for c in NativeEngine(subject).run([request("abc", n=50, max_tokens=12)])[0]:
        assert not set(c.tokens[:-1].tolist()) & {1, 3, 5}


def test_generation_defaults_of_the_model_are_not_applied() -> None:
    subject = policy()
    plain = tokens_of(TransformersEngine(subject).run([request("abc")]))
    subject.model.generation_config.repetition_penalty = 5.0
    subject.model.generation_config.top_k = 1
    subject.model.train()
    assert tokens_of(TransformersEngine(subject).run([request("abc")])) == plain
    assert subject.model.generation_config.repetition_penalty == 5.0
    assert subject.model.training


@ENGINES
def test_noise_decides_and_nothing_else(engine: type[BarrierEngine]) -> None:
    one = engine(policy())
    first = tokens_of(one.run([request("abc", n=8)]))
    assert tokens_of(one.run([request("abc", n=8)])) == first
    assert tokens_of(one.run([request("abc", n=4)]))[0] == first[0][:4]
    assert tokens_of(one.run([request("abc", n=8, seed=1)])) != first


@ENGINES
def test_old_weights_are_never_sampled(engine: type[BarrierEngine]) -> None:
    subject = policy()
    one = engine(subject)

    async def ask() -> list[Completion]:
        one.expect(1)
        try:
            return await one.sample(request("abc"))
        finally:
            one.leave()

    assert asyncio.run(ask())[0].version == 0
    subject.version = 3
    with pytest.raises(EngineError, match=r"version 3.*refresh"):
        asyncio.run(ask())
    one.refresh()
    assert asyncio.run(ask())[0].version == 3


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (request("abc", n=0), "n=0"),
        (request(""), "empty prefix"),
        (request("abc", max_tokens=62), r"3 tokens.*max_tokens=62.*65.*64.*61 or less"),
        (request("a" * 70), "shorter prompts"),
        (request("abc", stop=("",)), "empty string"),
    ],
)
def test_bad_requests_are_refused_before_sampling(asked, message: str) -> None:  # type: ignore[no-untyped-def]
    engine = NativeEngine(policy())

    async def ask() -> None:
        engine.expect(1)
        await engine.sample(asked)

    with pytest.raises(EngineError, match=message):
        asyncio.run(ask())


def test_tokens_outside_the_vocabulary_are_refused() -> None:
    asked = request("abc")
    asked.prefix[1] = len(VOCABULARY)
    engine = TransformersEngine(policy())
    engine.expect(1)
    with pytest.raises(EngineError, match="outside the model's vocabulary"):
        asyncio.run(engine.sample(asked))


class Recorder(BarrierEngine):
    """Answers with the path of each request, and records what was served together."""

    name = "recorder"

    def __init__(self) -> None:
        super().__init__(policy())
        self.served: list[list[tuple[int, ...]]] = []

    def run(self, requests):  # type: ignore[no-untyped-def]
        if any(r.params.max_tokens == 13 for r in requests):
            raise EngineError("Thirteen.")
        self.served.append([r.noise.path for r in requests])
        return [
            [Completion(np.array(r.noise.path, np.int32), np.zeros(1, np.float32), "stop", 0)]
            for r in requests
        ]

    def refresh(self) -> None:
        self.version = self.policy.version


async def episode(
    engine: BarrierEngine, name: int, turns: int, delay: int = 0, bad: int | None = None
) -> list[int]:
    seen = []
    try:
        for turn in range(turns):
            for _ in range(delay):
                await asyncio.sleep(0)
            asked = request("abc", path=(name, turn), max_tokens=13 if turn == bad else 2)
            seen.append((await engine.sample(asked))[0].tokens.tolist())
    finally:
        engine.leave()
    return seen


@pytest.mark.parametrize("delays", [(0, 0, 0), (5, 0, 2), (0, 3, 9)])
def test_barriers_follow_the_schedule_and_never_arrival(delays: tuple[int, ...]) -> None:
    engine = Recorder()

    async def run() -> list[list[int]]:
        engine.expect(3)
        return await asyncio.gather(*(episode(engine, 2 - i, i + 1, delays[i]) for i in range(3)))

    seen = asyncio.run(run())
    assert engine.served == [[(0, 0), (1, 0), (2, 0)], [(0, 1), (1, 1)], [(0, 2)]]
    assert seen == [[[2, 0]], [[1, 0], [1, 1]], [[0, 0], [0, 1], [0, 2]]]
    engine.expect(1)  # the schedule has closed


def test_an_error_reaches_everyone_who_waits() -> None:
    engine = Recorder()

    async def run() -> list[object]:
        engine.expect(2)
        both = (episode(engine, 0, 2), episode(engine, 1, 2, bad=1))
        return await asyncio.gather(*both, return_exceptions=True)

    assert [str(r) for r in asyncio.run(run())] == ["Thirteen.", "Thirteen."]
    assert engine.served == [[(0, 0), (1, 0)]]
    engine.expect(1)


def test_an_episode_refused_or_cancelled_does_not_hold_the_others() -> None:
    engine = Recorder()

    async def refused() -> None:
        try:
            await engine.sample(request(""))
        finally:
            engine.leave()

    async def run() -> list[object]:
        engine.expect(3)
        waiting = asyncio.create_task(episode(engine, 5, 1))
        await asyncio.sleep(0)
        waiting.cancel()
        return await asyncio.gather(episode(engine, 0, 1), refused(), waiting, return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert first == [[0, 0]]
    assert isinstance(second, EngineError)
    assert isinstance(third, asyncio.CancelledError)
    assert engine.served == [[(0, 0)]]


def test_schedules_are_opened_and_left_in_order() -> None:
    engine = Recorder()
    with pytest.raises(EngineError, match="not expected"):
        engine.leave()
    with pytest.raises(EngineError, match="No schedule"):
        asyncio.run(engine.sample(request("abc")))
    engine.expect(2)
    with pytest.raises(EngineError, match="still open"):
        engine.expect(1)
