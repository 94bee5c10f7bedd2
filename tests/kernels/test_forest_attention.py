from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import VOCABULARY, keep_dtype_in_norms, tiny_model
from hone.core.forest import Forest, pack
from hone.kernels import forest_attention, forest_buckets
from hone.kernels.forest_attention import Layout
from hone.policies import expanded
from kernels.references import SHAPES, dense, random_heads


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_values_and_gradients_equal_the_dense_mask(name: str, heads: tuple[int, int]):
    forest = pack(SHAPES[name])
    q, k, v, weight = random_heads(forest, heads)
    got = forest_attention.forest_attention(q, k, v, Layout(forest), 0.3)
    got_grads = torch.autograd.grad((got * weight).sum(), (q, k, v))
    want = dense(q, k, v, forest, 0.3)
    want_grads = torch.autograd.grad((want * weight).sum(), (q, k, v))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    for a, b in zip(got_grads, want_grads):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", SHAPES)
def test_long_queries_of_unequal_length_run_alone(name: str, monkeypatch: pytest.MonkeyPatch):
    forest = pack(SHAPES[name])
    q, k, v, weight = random_heads(forest, (4, 2))

    def run() -> tuple[int, list[torch.Tensor]]:
        plan = Layout(forest)
        out = forest_attention.forest_attention(q, k, v, plan, 0.3)
        return len(plan.buckets), [out.detach(), *torch.autograd.grad((out * weight).sum(), (q, k, v))]

    before, expected = run()
    monkeypatch.setattr(forest_buckets, "LONG", 4)
    after, found = run()
    assert (after > before) == (name in ("groups", "deep"))
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_the_path_without_cpu_kernels_gives_the_same(name: str, monkeypatch: pytest.MonkeyPatch):
    """Devices other than the CPU take plain matrix products; the two must agree."""
    forest = pack(SHAPES[name])
    plan = Layout(forest)
    q, k, v, weight = random_heads(forest, (4, 2), torch.float32)

    def run() -> tuple[torch.Tensor, ...]:
        out = forest_attention.forest_attention(q, k, v, plan, 0.3)
        return out.detach(), *torch.autograd.grad((out * weight).sum(), (q, k, v))

    fused = run()
    monkeypatch.setattr(forest_buckets, "_fused", lambda _: False)
    for a, b in zip(fused, run()):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def hidden_over_forest(model: torch.nn.Module, forest: Forest) -> torch.Tensor:
    forest_attention.register()
    model.set_attn_implementation(forest_attention.NAME)
    out = model.base_model(
        input_ids=forest.tokens[None], position_ids=forest.positions[None], use_cache=False,
        forest_layout=Layout(forest),
    )  # fmt: skip
    model.set_attn_implementation("sdpa")
    return out.last_hidden_state[0][forest.predictor]


def test_padding_of_any_size_stays_out_of_the_gradient():
    """A padded query repeats stored token 0, whose scores with keys of other families know no bound."""
    forest = pack(SHAPES["groups"])
    q, k, v, weight = random_heads(forest, (2, 2), torch.float32)
    with torch.no_grad():
        q *= 1e3
    out = forest_attention.forest_attention(q, k, v, Layout(forest), 1.0)
    grads = torch.autograd.grad((out * weight).sum(), (q, k, v))
    assert all(torch.isfinite(g).all() for g in grads)


def test_answers_of_one_length_are_read_and_written_as_they_lie():
    assert all(
        r.start is not None for b in Layout(pack(SHAPES["equal groups"])).buckets for r in (b.queries, b.keys)
    )
    assert any(b.queries.start is None for b in Layout(pack(SHAPES["groups"])).buckets)


def test_under_autocast_the_operands_are_cast_as_torch_casts_those_of_an_attention():
    """A norm on queries and keys leaves them in float32 beside values in bfloat16."""
    forest = pack(SHAPES["deep"])
    q, k, v, weight = random_heads(forest, (4, 2), torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out = forest_attention.forest_attention(q, k, v.bfloat16(), Layout(forest), 0.3)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), dense(q, k, v, forest, 0.3), rtol=0, atol=0.05)
    (grad,) = torch.autograd.grad((out.float() * weight).sum(), q)
    assert grad.dtype == torch.float32


@pytest.mark.parametrize("kind", ["qwen3", "llama", "qwen2", "mistral"])
@pytest.mark.parametrize("name", ["groups", "deep"])
def test_shared_equals_unshared_gradients_in_float64(kind: str, name: str):
    model = tiny_model(kind, dtype=torch.float64)
    keep_dtype_in_norms(model)
    forest = pack(SHAPES[name])
    weight = torch.randn(len(forest.action_index), VOCABULARY, dtype=torch.float64)

    def gradient(hidden: torch.Tensor) -> torch.Tensor:
        model.zero_grad()
        (model.lm_head(hidden).log_softmax(-1) * weight).sum().backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    shared, unshared = gradient(hidden_over_forest(model, forest)), gradient(expanded.hidden(model, forest))
    assert float((shared - unshared).abs().max() / unshared.abs().max()) < 1e-9


def test_a_window_is_refused_rather_than_ignored():
    forest = pack(SHAPES["groups"])
    q = torch.zeros(1, 2, forest.num_stored, 8)
    with pytest.raises(NotImplementedError, match="sliding_window"):
        forest_attention.attention_interface(
            torch.nn.Module(), q, q, q, None, forest_layout=Layout(forest), sliding_window=4
        )


def test_short_answers_of_many_lengths_take_few_calls():
    """A call costs more than a few elements of padding, but for a length that most answers have."""
    lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 18, 22, 27, 33, 40]
    runs = [(np.arange(n), np.arange(n)) for n in lengths]
    assert len(forest_buckets._groups(runs)) <= 5
    assert sorted(len(q) for group in forest_buckets._groups(runs) for q, _ in group) == lengths
    most = [(np.arange(6), np.arange(6))] * 12
    groups = forest_buckets._groups([*runs, *most])
    assert next(len(group) for group in groups if len(group[0][0]) == 6) == 13
