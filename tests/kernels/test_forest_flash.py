"""The flash path on the CPU: torch's own operators with slow kernels registered for them, so that every index, merge
and gradient around them is checked in float64, and their real signature with tensors without data."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from builders import CharTokenizer, keep_dtype_in_norms, tiny_model
from hone.core.forest import pack
from hone.kernels import forest_attention, forest_buckets, forest_flash
from hone.kernels.forest_attention import Layout
from hone.policies.token_policy import TokenPolicy
from kernels.references import SHAPES, dense, flash_kernels, random_heads


@pytest.fixture(name="calls")
def _calls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(forest_flash, "serves", lambda q: True)
    with flash_kernels() as calls:
        yield calls


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_values_and_gradients_equal_the_dense_mask(name: str, heads: tuple[int, int], calls: list[str]):
    forest = pack(SHAPES[name])
    q, k, v, weight = random_heads(forest, heads)
    got = forest_attention.forest_attention(q, k, v, Layout(forest), 0.3)
    got_grads = torch.autograd.grad((got * weight).sum(), (q, k, v))
    assert calls == ["forward", "forward", "repeatable backward", "repeatable backward"]
    assert not torch.are_deterministic_algorithms_enabled()
    want = dense(q, k, v, forest, 0.3)
    want_grads = torch.autograd.grad((want * weight).sum(), (q, k, v))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    for a, b in zip(got_grads, want_grads):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
@pytest.mark.parametrize("name", ["groups", "deep"])
def test_shared_equals_unshared_gradients_in_float64(kind: str, name: str, calls: list[str]):
    policy = TokenPolicy(tiny_model(kind, dtype=torch.float64), CharTokenizer())
    keep_dtype_in_norms(policy.model)
    assert policy.shares_prefixes
    forest = pack(SHAPES[name])
    weight = torch.randn(len(forest.action_index), dtype=torch.float64)

    def gradient() -> torch.Tensor:
        policy.model.zero_grad()
        (policy.score(forest).logprobs * weight).sum().backward()
        return torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])

    calls.clear()
    shared = gradient()
    assert calls.count("repeatable backward") == 2 * policy.model.config.num_hidden_layers
    policy.shares_prefixes = False
    unshared = gradient()
    assert float((shared - unshared).abs().max() / unshared.abs().max()) < 1e-9


def test_queries_are_never_gathered_and_keys_only_below_the_second_level():
    for name, trajectories in SHAPES.items():
        shared = forest_flash.plan(pack(trajectories), torch.device("cpu")).shared
        assert shared is not None
        assert isinstance(shared.queries, slice)
        assert isinstance(shared.keys, slice) == (name != "deep")


def test_a_forest_of_roots_alone_is_one_call(calls: list[str]):
    roots = pack([t for t in SHAPES["groups"] if t.labels["rollout"] == 0])
    forest = replace(roots, families=())
    q, k, v, weight = random_heads(forest, (2, 2))
    (forest_attention.forest_attention(q, k, v, Layout(forest), 0.3) * weight).sum().backward()
    assert calls == ["forward", "repeatable backward"]


def test_beside_a_thread_that_uses_torch_no_process_wide_request_is_made(calls: list[str]):
    forest = pack(SHAPES["groups"])
    q, k, v, weight = random_heads(forest, (2, 2))
    (
        forest_attention.forest_attention(q, k, v, Layout(forest, repeatable=False), 0.3) * weight
    ).sum().backward()
    assert calls == ["forward", "forward", "backward", "backward"]


@pytest.mark.parametrize("name", ["groups", "deep"])
def test_torchs_operators_take_these_arguments(name: str):
    """Shapes, dtypes and signature against the operators' own shape functions, on tensors without data."""
    forest = pack(SHAPES[name])
    plan = forest_flash.plan(forest, torch.device("meta"))
    make = {"dtype": torch.bfloat16, "device": "meta"}
    q, grad = (torch.empty(forest.num_stored, 6, 64, **make) for _ in range(2))
    k, v = (torch.empty(forest.num_stored, 2, 64, **make) for _ in range(2))
    out, lse = forest_flash.forward(q, k, v, plan, 0.1)
    assert (out.shape, out.dtype) == (q.shape, torch.bfloat16)
    assert (lse.shape, lse.dtype) == ((6, forest.num_stored), torch.float32)
    grads = forest_flash.backward(grad, q, k, v, out, lse, plan, 0.1)
    assert [(g.shape, g.dtype) for g in grads] == [(x.shape, x.dtype) for x in (q, k, v)]


@pytest.mark.parametrize(
    ("dtype", "dim", "capability", "built", "served"),
    [
        (torch.bfloat16, 128, (9, 0), True, True),
        (torch.float16, 64, (8, 6), True, True),
        (torch.bfloat16, 256, (9, 0), True, True),
        (torch.bfloat16, 256, (8, 9), True, False),  # the backward pass of these chips stops at 192
        (torch.bfloat16, 264, (9, 0), True, False),
        (torch.bfloat16, 60, (9, 0), True, False),
        (torch.bfloat16, 64, (7, 5), True, False),
        (torch.bfloat16, 64, (9, 0), False, False),
        (torch.float32, 64, (9, 0), True, False),
        (torch.float64, 64, (9, 0), True, False),
    ],
)
def test_what_flash_attention_serves(
    dtype: torch.dtype, dim: int, capability: tuple[int, int], built: bool, served: bool,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: built)
    with FakeTensorMode():
        assert forest_flash.serves(torch.empty(3, 2, dim, dtype=dtype, device="cuda")) is served
    assert not forest_flash.serves(torch.empty(3, 2, dim, dtype=dtype))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_on_a_gpu_flash_in_bfloat16_is_near_scores_in_float32_and_the_same_every_time(
    name: str, heads: tuple[int, int]
):
    forest = pack(SHAPES[name])
    plan = Layout(forest, "cuda")

    def run(dtype: torch.dtype) -> list[torch.Tensor]:
        q, k, v, weight = (
            x.detach().cuda().to(dtype) for x in random_heads(forest, heads, torch.bfloat16, dim=64)
        )
        operands = [x.requires_grad_() for x in (q, k, v)]
        out = forest_attention.forest_attention(*operands, plan, 0.1)
        return [out.detach(), *torch.autograd.grad((out * weight).sum(), operands)]

    assert forest_flash.serves(torch.empty(1, 1, 64, device="cuda", dtype=torch.bfloat16))
    first, again = run(torch.bfloat16), run(torch.bfloat16)
    for a, b, want in zip(first, again, run(torch.float32)):
        assert torch.equal(a, b)
        assert float((a.float() - want).abs().max() / want.abs().max()) < 2e-2
    for plain in (torch.float32, torch.float64):
        buckets = forest_buckets.buckets(forest, torch.device("cuda"))
        q, k, v, _ = (x.detach().cuda() for x in random_heads(forest, heads, plain))
        got, _ = forest_buckets.forward(q, k, v, buckets, 0.3)
        torch.testing.assert_close(
            got.cpu(), dense(q.cpu(), k.cpu(), v.cpu(), forest, 0.3), rtol=0, atol=1e-4
        )
