"""Decoder layers that are recomputed or compiled give the gradients of those that are not."""

from __future__ import annotations

import gc
from functools import partial

import pytest
import torch
from torch._dynamo.utils import counters

from builders import CharTokenizer, deep_tree, groups_of, tiny_model
from hone.core.errors import PolicyError
from hone.core.forest import Forest, pack
from hone.kernels import forest_buckets, forest_operator
from hone.policies import layers
from hone.policies.token_policy import TokenPolicy

FORESTS = [
    pack(groups_of([9, 3], [[4, 1, 6], [2]])),
    pack(deep_tree()),
    pack(groups_of([5] * 3, [[7] * 4] * 3)),
]


def score(policy: TokenPolicy, forest: Forest) -> tuple[torch.Tensor, torch.Tensor]:
    """Logprobs, and the gradient of a sum of them."""
    torch.manual_seed(0)
    weight = torch.randn(len(forest.action_index))
    logprobs = policy.score(forest, 0.7).logprobs
    grads = torch.autograd.grad((logprobs * weight).sum(), policy.parameters())
    return logprobs.detach(), torch.cat([g.flatten() for g in grads])


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
@pytest.mark.parametrize("shared", [True, False])
def test_recomputed_activations_give_the_same_gradients(
    kind: str, shared: bool, monkeypatch: pytest.MonkeyPatch
):
    policy = TokenPolicy(tiny_model(kind), CharTokenizer())
    policy.shares_prefixes = shared
    passes = []
    right = forest_buckets.forward
    monkeypatch.setattr(forest_buckets, "forward", lambda *a: passes.append(1) or right(*a))
    for forest in FORESTS:
        expected = score(policy, forest)
        plain = len(passes)
        policy.recompute = True
        found = score(policy, forest)
        policy.recompute = False
        assert all(torch.equal(a, b) for a, b in zip(found, expected))
        # Each layer's attention over the forest ran once, and once more in the backward pass.
        assert plain == (2 if shared else 0)
        assert len(passes) == 3 * plain
        passes.clear()
    assert policy.model.config._attn_implementation == "sdpa"
    assert all("forward" not in vars(layer) for layer in layers.decoder_layers(policy.model))


def test_activations_are_dropped_where_they_are_recomputed():
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())

    def kept() -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.append(x.numel()) or x, lambda x: x):
            policy.score(FORESTS[2])
        return sum(sizes)

    plain = kept()
    policy.recompute = True
    assert kept() < plain / 2


def test_without_gradients_nothing_is_recomputed(monkeypatch: pytest.MonkeyPatch):
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    policy.recompute = True
    monkeypatch.setattr(layers, "checkpoint", None)
    with torch.no_grad():
        policy.score(FORESTS[0])


def test_an_architecture_without_marked_layers_says_so(monkeypatch: pytest.MonkeyPatch):
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    monkeypatch.setattr(layers, "decoder_layers", lambda model: [])
    with pytest.raises(PolicyError, match="max_tokens_per_microbatch"):
        policy.recompute = True
    with pytest.raises(PolicyError, match="compile: false"):
        policy.compile()
    assert not policy.recompute


def check_compiled(policy: TokenPolicy, tolerance: float) -> None:
    """Two graphs, one with and one without gradients, serve every layer of every forest."""
    torch._dynamo.reset()
    counters.clear()
    before = set(forest_operator._layouts)
    expected = [score(policy, forest) for forest in FORESTS]
    assert policy.compile(128) > 0
    assert counters["stats"]["unique_graphs"] == 2
    for recompute in (False, True):
        policy.recompute = recompute
        for forest, (logprobs, gradient) in zip(FORESTS, expected):
            found = score(policy, forest)
            torch.testing.assert_close(found[0], logprobs, rtol=0, atol=tolerance)
            assert float((found[1] - gradient).norm() / gradient.norm()) < tolerance
    assert counters["stats"]["unique_graphs"] == 2
    assert not counters["graph_break"]
    gc.collect()
    assert set(forest_operator._layouts) <= before  # each was held until its backward pass, and no longer


@pytest.fixture(name="traced_only")
def _traced_only(monkeypatch: pytest.MonkeyPatch):
    """Trace and differentiate as the compiler does, but run its graphs with torch's own kernels, which is quick."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    layers._compiled.cache_clear()
    yield
    layers._compiled.cache_clear()


@pytest.mark.parametrize("dtype", [None, pytest.param(torch.bfloat16, marks=pytest.mark.slow)])
def test_compiled_layers_serve_forests_of_any_shape(dtype: torch.dtype | None, traced_only: None):
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer(), autocast=dtype)
    check_compiled(policy, 1e-4 if dtype is None else 0.1)


@pytest.mark.slow
def test_layers_compiled_to_machine_code_compute_the_same():
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except Exception as error:
        pytest.skip(f"torch finds no C++ compiler: {error}")
    layers._compiled.cache_clear()
    check_compiled(TokenPolicy(tiny_model("qwen3"), CharTokenizer()), 1e-4)


def test_without_a_compiler_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch):
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "no-such-compiler"))
    torch._dynamo.reset()
    layers._compiled.cache_clear()
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    with pytest.raises(PolicyError, match=r"no-such-compiler.*apt-get install g\+\+.*compile: false"):
        policy.compile(64)
    assert not policy.compiled
    torch._dynamo.reset()
    score(policy, FORESTS[0])


def test_compiled_layers_that_compute_something_else_are_refused(monkeypatch: pytest.MonkeyPatch):
    policy = TokenPolicy(tiny_model("qwen3"), CharTokenizer())
    right = type(layers.decoder_layers(policy.model)[0]).forward
    monkeypatch.setattr(layers, "_compiled", lambda kind: lambda *a, **o: right(*a, **o) * 1.5)
    with pytest.raises(PolicyError, match="nats"):
        policy.compile(64)
    assert not policy.compiled
