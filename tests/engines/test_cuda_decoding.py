"""Static decoding on a GPU: captured steps against uncaptured ones, the CPU and the transformers engine."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from engines.engine_models import FAMILIES, Policy, check_greedy, make_model, policy, request, tokens_of
from hone.engines import NativeEngine, TransformersEngine
from hone.engines.replay import Replay

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

MIXED = [
    request("abc", n=17, max_tokens=40, path=(0,)),
    request("defghij.0 abcdefgh", n=5, max_tokens=30, path=(1,), stop=("ab", "e\n")),
    request("a", n=4, max_tokens=6, path=(2,), temperature=0.7),
    request("jihgfedcba 0.abcd", n=1, max_tokens=33, path=(3,), temperature=0.0),
]
DTYPES = pytest.mark.parametrize(("dtype", "autocast"), [(torch.float32, None), (torch.float32, torch.bfloat16),
                                                         (torch.bfloat16, None), (torch.float64, None)])  # fmt: skip


def on_gpu(family: str, dtype: torch.dtype = torch.float32, autocast: torch.dtype | None = None) -> Policy:
    device = torch.device("cuda")
    return Policy(make_model(family).to(dtype).to(device), device=device, autocast=autocast)


@DTYPES
@pytest.mark.parametrize("options", [{}, {"max_slots": 6, "chunk": 5}])
def test_replayed_steps_equal_called_ones(
    dtype: torch.dtype, autocast: torch.dtype | None, options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = on_gpu("qwen3", dtype, autocast)
    captured = NativeEngine(subject, **options)
    assert captured._static is not None
    first = captured.run(MIXED)
    again = captured.run(MIXED)  # by now most of its steps are replayed
    assert captured._static._replay._graphs
    called = NativeEngine(subject, **options)
    assert called._static is not None
    monkeypatch.setattr(called._static._replay, "_captures", False)
    want = called.run(MIXED)
    assert not called._static._replay._graphs
    assert tokens_of(first) == tokens_of(again) == tokens_of(want)
    for a, b in zip(chain(*again), chain(*want)):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_equal_those_of_the_cpu(family: str) -> None:
    got, want = (
        NativeEngine(on_gpu(family, torch.float64)).run(MIXED),
        NativeEngine(policy(family, torch.float64)).run(MIXED),
    )
    assert tokens_of(got) == tokens_of(want)
    for a, b in zip(chain(*got), chain(*want)):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("autocast", "tie"), [(None, 1e-3), (torch.bfloat16, 0.2)])
def test_greedy_tokens_equal_the_transformers_engine_up_to_near_ties(
    family: str, autocast: torch.dtype | None, tie: float
) -> None:
    subject = on_gpu(family, autocast=autocast)
    asked = [
        request(p, n=1, max_tokens=24, path=(i,), temperature=0.0) for i, p in enumerate(("abc", "jih", "0"))
    ]
    check_greedy(
        subject, asked, NativeEngine(subject).run(asked), TransformersEngine(subject).run(asked), tie
    )


@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_captured_steps_serve_new_weights_after_a_refresh(
    autocast: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = on_gpu("qwen3", autocast=autocast)
    engine = NativeEngine(subject)
    for _ in range(2):
        engine.run(MIXED)
    monkeypatch.setattr(Replay, "_capture", lambda *_: pytest.fail("steps were captured again"))
    before = tokens_of(engine.run(MIXED))
    with torch.no_grad():
        for parameter in subject.model.parameters():
            parameter.mul_(1.05)
    engine.refresh()
    after = engine.run(MIXED)
    monkeypatch.undo()
    assert tokens_of(after) != before
    assert tokens_of(after) == tokens_of(NativeEngine(subject).run(MIXED))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # Triton's sampler, and the plain one
def test_an_action_space_is_kept_to_by_replayed_steps(dtype: torch.dtype) -> None:
    spaces = (4, 7, 9), (3, 5, 6)
    engine = NativeEngine(on_gpu("qwen3", dtype))
    for space in spaces * 2:
        asked = [request("abc", n=5, max_tokens=20, path=(0,), support=space)]
        got, want = engine.run(asked), NativeEngine(policy("qwen3", dtype)).run(asked)
        assert {int(t) for c in chain(*got) for t in c.tokens} <= set(space)
        if dtype == torch.float64:
            assert tokens_of(got) == tokens_of(want)
