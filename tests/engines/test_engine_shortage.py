"""Engines that run out of memory: the same samples with fewer slots, or a clear error."""

from __future__ import annotations

import asyncio

import pytest
import torch

from engines.engine_models import policy, request, tokens_of
from hone.core.errors import EngineError
from hone.core.sampling import Completion, SampleRequest
from hone.engines import NativeEngine, TransformersEngine, native
from hone.engines.barrier import BarrierEngine

ASKED = [
    request("abc", n=5, max_tokens=12, path=(0,)),
    request("defghij.0", n=3, max_tokens=8, path=(1,)),
]
SAID = "CUDA out of memory. Tried to allocate 9 GiB.\nMore."


def served(engine: BarrierEngine, asked: list[SampleRequest] = ASKED) -> list[list[Completion]]:
    """What a barrier gives to one episode a request."""

    async def one(ask: SampleRequest) -> list[Completion]:
        try:
            return await engine.sample(ask)
        finally:
            engine.leave()

    async def everything() -> list[list[Completion]]:
        engine.expect(len(asked))
        return list(await asyncio.gather(*(one(ask) for ask in asked)))

    return asyncio.run(everything())


def starve(engine: BarrierEngine, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine fail in the middle of a call whenever it samples more than `most` rollouts at once."""
    if isinstance(engine, NativeEngine):
        choose, after = native.choose_steps, {"calls": 0}

        def starving(*args):
            steps = choose(*args)
            whole = steps.decode

            def decode(tokens, written):
                after["calls"] += 1
                if after["calls"] > 3 and len(tokens) > most:
                    raise torch.OutOfMemoryError(SAID)
                return whole(tokens, written)

            steps.decode = decode
            return steps

        monkeypatch.setattr(native, "choose_steps", starving)
    else:
        generate = engine._generate

        def fails(prefixes, *args):
            if len(prefixes) > most:
                raise torch.OutOfMemoryError(SAID)
            return generate(prefixes, *args)

        monkeypatch.setattr(engine, "_generate", fails)


@pytest.mark.parametrize(
    ("kind", "halvings"),
    [
        (NativeEngine, [(8, 4), (4, 2)]),
        (TransformersEngine, [(5, 2)]),
    ],  # the latter takes one limit at a time
)
def test_a_barrier_is_served_again_with_half_the_slots(
    kind: type[BarrierEngine], halvings: list[tuple[int, int]], monkeypatch
):
    subject = policy("qwen3", torch.float64)
    plain = served(kind(subject))
    engine, told = kind(subject), []
    engine.on_shortage = lambda *event: told.append(event)
    starve(engine, 2, monkeypatch)
    again = served(engine)
    assert tokens_of(again) == tokens_of(plain)
    assert told == [(before, after, SAID.splitlines()[0]) for before, after in halvings]
    assert engine.max_slots == 2
    assert tokens_of(served(engine)) == tokens_of(plain)
    assert len(told) == len(halvings)  # what was found holds for later barriers


@pytest.mark.parametrize("kind", [NativeEngine, TransformersEngine])
def test_one_rollout_that_does_not_fit_is_a_clear_error(kind: type[BarrierEngine], monkeypatch):
    engine = kind(policy("qwen3"))
    starve(engine, 0, monkeypatch)
    with pytest.raises(EngineError, match="one rollout alone: CUDA out of memory"):
        served(engine)


def test_other_errors_reach_whoever_asked(monkeypatch):
    engine = NativeEngine(policy("qwen3"))
    monkeypatch.setattr(engine, "run", lambda requests: torch.ones(2, 3) @ torch.ones(2, 3))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        served(engine)


def test_a_shortage_lets_the_caches_go(monkeypatch):
    engine = NativeEngine(policy("qwen3"))
    served(engine)
    assert engine._suffixes.tensor.numel() > 0
    engine.drop_caches()
    assert engine._suffixes.tensor.numel() == 0
    assert ASKED[0].prefix not in engine._store
