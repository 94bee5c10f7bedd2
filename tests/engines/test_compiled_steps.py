"""Decode steps by compiled kernels against the plain ones, and when each is taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.engine_models import FAMILIES, Policy, make_model, policy, request, tokens_of
from hone.core.sampling import Completion
from hone.engines import NativeEngine, native
from hone.engines.products import Linear, make_linears

pytest.importorskip("numba")

from hone.engines.compiled_steps import CompiledSteps

MIXED = [
    request("abc", n=5, max_tokens=12, path=(0,)),
    request("defghij.0 abcdefgh", n=3, max_tokens=20, path=(1,)),
    request("a", n=4, max_tokens=6, path=(2,), temperature=0.7),
    request("jihgfedcba 0.abcd", n=4, max_tokens=10, path=(4,)),
    request("abc", n=2, max_tokens=9, path=(3,), temperature=0.0),
]


def both(
    subject: Policy, monkeypatch: pytest.MonkeyPatch, asked=MIXED, **options: int
) -> tuple[list[list[Completion]], list[list[Completion]]]:
    """What compiled and plain steps sample."""
    with monkeypatch.context() as patch:
        patch.setattr(native, "has_numba", lambda: False)
        plain = NativeEngine(subject, **options).run(asked)
    return NativeEngine(subject, **options).run(asked), plain


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("slots", [18, 3])
def test_samples_are_those_of_plain_steps(family: str, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, plain = both(policy(family), monkeypatch, max_slots=slots)
    assert tokens_of(compiled) == tokens_of(plain)
    for ours, theirs in zip(compiled, plain):
        for a, b in zip(ours, theirs):
            np.testing.assert_allclose(a.logprobs, b.logprobs, atol=2e-5)


def test_truncated_samplers_stay_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        request("abc", n=4, max_tokens=8, path=(0,), top_k=3),
        request("a", n=2, max_tokens=8, path=(1,)),
    ]
    compiled, plain = both(policy(), monkeypatch, asked)
    assert tokens_of(compiled) == tokens_of(plain)


def test_a_refresh_takes_new_weights() -> None:
    subject = policy()
    engine = NativeEngine(subject)
    engine.run(MIXED)
    with torch.no_grad():
        for p in subject.model.parameters():
            p.mul_(1.3)
    subject.version += 1
    engine.refresh()
    fresh = NativeEngine(subject)
    assert tokens_of(engine.run(MIXED)) == tokens_of(fresh.run(MIXED))


@pytest.mark.parametrize("changes", [{"dtype": torch.float64}, {"hidden_act": "gelu"}])
def test_other_dtypes_and_activations_take_plain_steps(
    changes: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("compiled steps were taken")

    monkeypatch.setattr(CompiledSteps, "__init__", refuse)
    subject = policy(dtype=changes["dtype"]) if "dtype" in changes else policy()
    if "hidden_act" in changes:
        subject = Policy(make_model(**changes))
    assert NativeEngine(subject).run(MIXED)
    assert NativeEngine(subject).note == ""
    with pytest.raises(AssertionError, match="were taken"):
        NativeEngine(policy()).run(MIXED)


def test_compiling_is_said_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    NativeEngine(policy()).run(MIXED)
    assert NativeEngine(policy()).note == ""  # there by now
    monkeypatch.setattr(native, "compiled_before", lambda: False)
    assert "Compiling kernels" in NativeEngine(policy()).note


def test_without_numba_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "has_numba", lambda: False)
    assert "install `numba`" in NativeEngine(policy()).note


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 64, 300])
def test_packed_matrices_multiply_as_others(rows: int, bias: bool) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(40, 24), torch.randn(rows, 24)
    pair = weight, torch.randn(40) if bias else None
    (packed,), (plain,) = make_linears([pair], 1 << 20), make_linears([pair], 0)
    assert plain.packed is None
    assert (packed.packed is not None) == torch.backends.mkl.is_available()
    want = Linear(weight.double(), None if pair[1] is None else pair[1].double(), None)(x.double())
    for layer in (packed, plain):
        torch.testing.assert_close(layer(x).double(), want, atol=1e-5, rtol=1e-5)
