"""Decode steps by compiled kernels against the plain ones, and when each is taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engines.engine_models import FAMILIES, Policy, make_model, policy, request, tokens_of
from hone.core.sampling import Completion
from hone.engines import NativeEngine, native

pytest.importorskip("numba")

from hone.engines.compiled_steps import MOST_QUERIES, CompiledSteps, plan_units

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


def test_without_numba_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "has_numba", lambda: False)
    assert "install `numba`" in NativeEngine(policy()).note


@pytest.mark.parametrize("rep", [1, 3])
def test_every_query_is_in_one_unit_of_its_prefix_and_head(rep: int) -> None:
    num_kv, dim = 2, 4
    places = {"a": (10_000, 500, 50, 7, 11), "b": (5_000, 300, 30, 9, 13), "c": (90_000, 10, 20, 3, 1)}
    names = ["a", "b", "a", "c", *"a" * 70, "b"]
    units, at, stride = plan_units(np.array([places[n] for n in names]), num_kv, rep, dim)
    seen = {}
    for keys, values, to_layer, length, first, count in units.tolist():
        assert 0 < count <= MOST_QUERIES
        for query in range(first, first + count):
            assert query not in seen
            seen[query] = keys, values, to_layer, length
    for row, name in enumerate(names):
        address, to_values, to_head, to_layer, length = places[name]
        for head in range(num_kv):
            for r in range(rep):
                start = at[row] + head * stride[row] + r * dim
                keys = address + head * to_head
                assert seen.pop(start // dim) == (keys, keys + to_values, to_layer, length)
                assert start % dim == 0
    assert not seen


def test_groups_larger_than_a_piece_sample_as_plain_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, plain = both(policy(), monkeypatch, [request("abcdefgh", n=90, max_tokens=4)])
    assert tokens_of(compiled) == tokens_of(plain)


def test_matrices_that_are_too_large_to_pack_sample_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = NativeEngine(policy()).run(MIXED)
    monkeypatch.setattr("hone.engines.compiled_steps.CACHE_SHARE", 0.0)
    assert tokens_of(NativeEngine(policy()).run(MIXED)) == tokens_of(packed)
