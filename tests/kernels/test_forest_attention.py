from __future__ import annotations

import pytest
import torch

from builders import VOCABULARY, deep_tree, groups_of, keep_dtype_in_norms, tiny_model
from hone.core.forest import Forest, pack
from hone.kernels import forest_attention, forest_buckets
from hone.kernels.forest_attention import Layout
from hone.policies import expanded


def dense(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, forest: Forest, scale: float) -> torch.Tensor:
    """The slow version: one mask over all pairs of stored tokens, from ancestry alone."""
    size = forest.num_stored
    allowed = torch.zeros(size, size, dtype=torch.bool)
    for start, length in forest.segments:
        allowed[start : start + length, start : start + length] = torch.ones(length, length).tril().bool()
    for family in forest.families:
        for token in family.queries:
            allowed[int(token), torch.from_numpy(family.context)] = True
    repeat = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
    scores = torch.einsum("qhd,khd->hqk", q, k) * scale
    probs = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
    return torch.einsum("hqk,khd->qhd", probs, v)


SHAPES = {
    "groups": groups_of([9, 3, 17, 8], [[4, 1, 6], [2], [5, 5], [30, 1, 2, 3]]),
    "deep": deep_tree(),
    "prompts differ, one answer": groups_of([2, 40], [[1], [1]]),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_values_and_gradients_equal_the_dense_mask(name: str, heads: tuple[int, int]):
    forest = pack(SHAPES[name])
    torch.manual_seed(0)
    shape = (forest.num_stored, 8)
    q = torch.randn(shape[0], heads[0], shape[1], dtype=torch.float64, requires_grad=True)
    k, v = (
        torch.randn(shape[0], heads[1], shape[1], dtype=torch.float64, requires_grad=True) for _ in range(2)
    )
    weight = torch.randn(shape[0], heads[0], shape[1], dtype=torch.float64)
    got = forest_attention.forest_attention(q, k, v, Layout(forest), 0.3)
    got_grads = torch.autograd.grad((got * weight).sum(), (q, k, v))
    want = dense(q, k, v, forest, 0.3)
    want_grads = torch.autograd.grad((want * weight).sum(), (q, k, v))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    for a, b in zip(got_grads, want_grads):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_the_path_without_cpu_kernels_gives_the_same(monkeypatch: pytest.MonkeyPatch):
    """Devices other than the CPU take plain matrix products; the two must agree."""
    forest = pack(SHAPES["groups"])
    plan = Layout(forest)
    torch.manual_seed(1)
    q = torch.randn(forest.num_stored, 4, 8, requires_grad=True)
    k, v = (torch.randn(forest.num_stored, 2, 8, requires_grad=True) for _ in range(2))
    weight = torch.randn(forest.num_stored, 4, 8)

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
