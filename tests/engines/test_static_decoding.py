"""Static decoding, which a GPU captures and replays, run uncaptured on the CPU: the same tokens as dynamic decoding."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engines.engine_models import FAMILIES, Policy, policy, request, tokens_of
from hone.core.errors import EngineError
from hone.core.sampling import Completion, SampleRequest
from hone.engines import NativeEngine, choose, static_batch
from hone.engines.replay import Replay
from hone.engines.static_state import round_rows

MIXED = [
    request("abc", n=5, max_tokens=12, path=(0,)),
    request("defghij.0 abcdefgh", n=3, max_tokens=20, path=(1,)),
    request("a", n=4, max_tokens=6, path=(2,), temperature=0.7),
    request("abc", n=9, max_tokens=9, path=(3,), stop=("a", "bc")),
    request("jihgfedcba 0.abcd", n=4, max_tokens=10, path=(4,), stop=("e\n", ".")),
    request("0 0", n=2, max_tokens=1, path=(5,)),
    request("abab", n=1, max_tokens=15, path=(6,), temperature=0.0),
]
TRUNCATED = [
    request("abc", n=6, max_tokens=12, path=(0,), top_k=3),
    request("bcd", n=6, max_tokens=9, path=(1,), top_p=0.7, temperature=0.8),
    request("bcd", n=6, max_tokens=9, path=(2,), min_p=0.2, stop=("a",)),
    request("bcd", n=6, max_tokens=9, path=(3,)),
]
RESTRICTED = [
    request("abc", n=6, max_tokens=8, path=(0,), support=(4, 7, 9)),
    request("bcd", n=4, max_tokens=6, path=(1,), support=(5, 3), temperature=0.7),
    request("bcd", n=3, max_tokens=6, path=(2,), support=(5, 3, 8, 6), top_k=2),
    request("cab", n=2, max_tokens=5, path=(3,), support=(6, 8), temperature=0.0),
    request("bcd", n=4, max_tokens=9, path=(4,)),
]


def static(monkeypatch: pytest.MonkeyPatch, subject: Policy, **options: int) -> NativeEngine:
    """A native engine that decodes on the CPU as it would on a GPU."""
    with monkeypatch.context() as patch:
        patch.setattr("hone.engines.native.STATIC_DEVICES", {"cpu"})
        engine = NativeEngine(subject, **options)
    assert engine._static is not None
    return engine


def equal(got: list[list[Completion]], want: list[list[Completion]]) -> None:
    assert tokens_of(got) == tokens_of(want)
    for a, b in zip(chain(*got), chain(*want)):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)  # norms round differently
        assert a.finish_reason == b.finish_reason


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("options", [{}, {"max_slots": 4, "chunk": 5}])
def test_tokens_equal_dynamic_decoding(
    family: str, options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = policy(family, torch.float64)
    want = NativeEngine(subject).run(MIXED)
    equal(static(monkeypatch, subject, **options).run(MIXED), want)
    assert {c.finish_reason for c in chain(*want)} == {"stop", "length"}
    assert len({len(c.tokens) for c in chain(*want)}) > 4  # rollouts ended at different times


@pytest.mark.parametrize(("slots", "chunk"), [(1, 32), (3, 4), (7, 1), (40, 4)])
def test_refills_and_looks_decide_nothing(slots: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy(dtype=torch.float64)
    engine = static(monkeypatch, subject, max_slots=slots, chunk=chunk)
    for asked in (MIXED, MIXED[::-1], TRUNCATED, RESTRICTED):
        equal(engine.run(asked), NativeEngine(subject).run(asked))


def test_refreshes_and_calls_of_any_size_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy("qwen2", torch.float64)
    engine = static(monkeypatch, subject, chunk=3)
    calls = [
        MIXED,
        [request("abc", n=30, max_tokens=30)],
        RESTRICTED,
        MIXED[2:3],
        TRUNCATED,
        RESTRICTED[:2],
        MIXED,
    ]
    seen = []
    for asked in calls:
        got = engine.run(asked)
        equal(got, NativeEngine(subject).run(asked))
        seen.append(tokens_of(got))
        with torch.no_grad():
            for parameter in subject.model.parameters():
                parameter.mul_(1.1)
        engine.refresh()
    assert seen[0] != seen[-1]


def test_memory_stays_in_place_over_refreshes_and_smaller_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy("llama", autocast=torch.bfloat16)
    engine = static(monkeypatch, subject)
    batch = engine._static
    assert batch is not None
    engine.run(MIXED)
    before = batch._addresses
    forgotten: list[int] = []
    monkeypatch.setattr(batch._replay, "forget", lambda: forgotten.append(1))
    for asked in (MIXED, MIXED[:2], TRUNCATED):
        with torch.no_grad():
            next(subject.model.parameters()).mul_(1.1)
        engine.refresh()
        engine.run(asked)
    assert batch._addresses == before
    assert not forgotten
    engine.run([request("abc", n=40, max_tokens=40)])
    assert forgotten


def test_calls_of_one_action_space_share_what_was_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another space of the same size is written where the last one lies; a captured step would read it there."""
    subject = policy(dtype=torch.float64)
    engine = static(monkeypatch, subject)
    batch = engine._static
    assert batch is not None
    engine.run(RESTRICTED[:1])
    forgotten: list[int] = []
    monkeypatch.setattr(batch._replay, "forget", lambda: forgotten.append(1))
    other = [request("abc", n=6, max_tokens=8, path=(0,), support=(3, 5, 6))]
    for asked, allowed in ((RESTRICTED[:1], {4, 7, 9}), (other, {3, 5, 6})):
        got = engine.run(asked)
        assert {int(t) for c in chain(*got) for t in c.tokens} <= allowed
        equal(got, NativeEngine(subject).run(asked))
    assert not forgotten
    engine.run(RESTRICTED)
    assert forgotten


def test_a_row_that_ended_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy(dtype=torch.float64)
    want = NativeEngine(subject).run(MIXED)
    engine = static(monkeypatch, subject, chunk=32)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    batch = engine._static
    assert batch is not None
    advance = batch.advance

    def twice(steps: int, longest: int) -> None:
        advance(steps, longest)
        state = batch._state
        kept = [x.clone() for x in (state.tokens, state.logprobs, state.length)]
        assert bool(state.ended.all())
        advance(3, longest)
        seen.extend(zip(kept, (state.tokens, state.logprobs, state.length)))

    monkeypatch.setattr(batch, "advance", twice)
    equal(engine.run(MIXED), want)
    assert len(seen) == 3
    for before, after in seen:
        assert torch.equal(before, after)


class DeviceOnly(TorchDispatchMode):
    """Refuses every operation by which host data reaches a tensor or a tensor's data reaches the host."""

    REFUSED = ("_local_scalar_dense", "lift_fresh", "nonzero", "masked_select", "unique", "_unique")

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.calls += 1
        assert name not in self.REFUSED, f"a static step calls {name}"
        if name in ("index", "index_put_"):
            masks = [i for i in args[1] if i is not None and i.dtype == torch.bool]
            assert not masks, "indexing by a mask waits for its count"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("asked", [MIXED, TRUNCATED, RESTRICTED])
@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_a_step_touches_device_memory_alone(
    asked: list[SampleRequest], autocast: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[int] = []
    step = static_batch.decode_step

    def watch(*arguments: Any) -> None:
        with DeviceOnly() as mode:
            step(*arguments)
        watched.append(mode.calls)

    monkeypatch.setattr(static_batch, "decode_step", watch)
    for family in FAMILIES:
        static(monkeypatch, policy(family, autocast=autocast)).run(asked)
    assert min(watched) > 50
    for bad in (
        lambda: torch.ones(1).item(),
        lambda: torch.tensor([1.0]),
        lambda: torch.ones(2)[torch.ones(2) > 0],
    ):
        with pytest.raises(AssertionError), DeviceOnly():
            bad()


def test_weights_that_are_not_finite_stop_the_run_and_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject = policy(dtype=torch.float64)
    engine = static(monkeypatch, subject)
    want = tokens_of(engine.run(MIXED))
    weight = subject.model.model.norm.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight[0] = torch.nan
    engine.refresh()
    with pytest.raises(EngineError, match="not finite"):
        engine.run(MIXED)
    with torch.no_grad():
        weight.copy_(before)
    engine.refresh()
    assert tokens_of(engine.run(MIXED)) == want


def test_prefixes_are_dropped_and_computed_again_when_memory_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject = policy(dtype=torch.float64)
    many = [request("abcdefghij"[i:] + "0" * i, n=2, max_tokens=6, path=(i,)) for i in range(9)]
    monkeypatch.setattr("hone.engines.decoding.PREFILL_TOKENS", 15)
    engine = static(monkeypatch, subject, max_slots=3)
    assert engine._static is not None
    engine._static._prefix_bytes = 1
    equal(engine.run(many), NativeEngine(subject).run(many))
    assert engine._static.pool.tensor.shape[3] < 60


def test_a_gpu_without_triton_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hone.engines.native.STATIC_DEVICES", {"cpu"})
    for installed in (True, False):
        monkeypatch.setattr("hone.engines.native.has_triton", lambda installed=installed: installed)
        assert bool(choose(policy())[1]) != installed


def test_batch_sizes_are_few_and_at_most_half_idle() -> None:
    sizes = [round_rows(n) for n in range(1, 1025)]
    assert all(n <= size < 2 * n for n, size in enumerate(sizes, 1))
    assert len(set(sizes)) < 25
    assert sizes == sorted(sizes)


def test_without_graphs_a_replay_is_a_call() -> None:
    called: list[Any] = []
    replay = Replay(called.append, torch.device("cpu"))
    shape: Any = "a shape"
    for _ in range(4):
        replay(shape)
    assert called == [shape] * 4
