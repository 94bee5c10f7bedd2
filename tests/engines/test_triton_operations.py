"""Static decoding by Triton's kernels, run by Triton's interpreter on the CPU: the same tokens as dynamic decoding."""

from __future__ import annotations

import os
from itertools import chain

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

import numpy as np

from engines.engine_models import policy, request, tokens_of
from hone.engines import NativeEngine
from hone.engines.triton_operations import TritonOperations

pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="the GPU's own tests are elsewhere"
)
ASKED = [
    request("abc", n=3, max_tokens=5, path=(0,)),
    request("defghij.0 abcdefgh", n=2, max_tokens=4, path=(1,), temperature=0.7),
    request("ab", n=1, max_tokens=4, path=(2,), temperature=0.0),
]


def by_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines made from here on decode by static steps of Triton's kernels."""
    monkeypatch.setattr("hone.engines.native.STATIC_DEVICES", {"cpu"})
    monkeypatch.setattr("hone.engines.static_batch.choose_operations", TritonOperations)
    monkeypatch.setattr("hone.kernels.decode_triton.PROGRAMS", 1)


@pytest.mark.parametrize("family", ["llama", "qwen3", "smollm3"])
def test_tokens_and_logprobs_equal_dynamic_decoding(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy(family)
    want = NativeEngine(subject).run(ASKED)
    by_triton(monkeypatch)
    got = NativeEngine(subject, max_slots=4, chunk=3).run(ASKED)
    assert tokens_of(got) == tokens_of(want)
    for a, b in zip(chain(*got), chain(*want)):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)


def test_an_action_space_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy("llama")
    asked = [
        request("abc", n=3, max_tokens=4, path=(0,), support=(4, 7, 9)),
        request("ab", n=2, max_tokens=4, path=(1,), support=(5, 3), temperature=0.0),
        request("ab", n=2, max_tokens=4, path=(2,)),
    ]
    want = NativeEngine(subject).run(asked)
    by_triton(monkeypatch)
    got = NativeEngine(subject, chunk=2).run(asked)
    assert tokens_of(got) == tokens_of(want)
    for a, b in zip(chain(*got), chain(*want)):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-5)


def test_a_truncated_sampler_and_another_activation_stay_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = policy("qwen2", hidden_act="gelu")
    asked = [request("abc", n=2, max_tokens=2, top_k=3)]
    want = NativeEngine(subject).run(asked)
    by_triton(monkeypatch)
    assert tokens_of(NativeEngine(subject, chunk=2).run(asked)) == tokens_of(want)


def test_half_precision_agrees_with_dynamic_decoding_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The interpreter multiplies no bfloat16 matrices; float16 takes the same path.
    subject = policy(autocast=torch.float16)
    want = NativeEngine(subject).run(ASKED[:1])
    by_triton(monkeypatch)
    got = NativeEngine(subject).run(ASKED[:1])
    assert tokens_of(got) == tokens_of(want)
    for a, b in zip(chain(*got), chain(*want)):
        np.testing.assert_allclose(a.logprobs, b.logprobs, atol=2e-2)
