from __future__ import annotations

import pytest
import torch

from hone.kernels import logprobs
from hone.kernels.logprobs import selected_logprobs


@pytest.mark.parametrize("chunk", [1 << 24, 30, 7])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_equals_full_log_softmax_with_gradients(
    chunk: int, temperature: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", chunk)
    torch.manual_seed(0)
    hidden = torch.randn(13, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(9, 6, dtype=torch.float64, requires_grad=True)
    tokens = torch.randint(0, 9, (13,))
    a, b = torch.randn(13, dtype=torch.float64), torch.randn(13, dtype=torch.float64)

    got, entropy = selected_logprobs(hidden, weight, tokens, temperature, want_entropy=True)
    assert entropy is not None
    grads = torch.autograd.grad((got * a + entropy * b).sum(), (hidden, weight))

    full = (hidden @ weight.T / temperature).log_softmax(-1)
    want = full.gather(-1, tokens[:, None])[:, 0]
    want_entropy = -(full.exp() * full).sum(-1)
    want_grads = torch.autograd.grad((want * a + want_entropy * b).sum(), (hidden, weight))
    torch.testing.assert_close(got, want)
    torch.testing.assert_close(entropy, want_entropy)
    for x, y in zip(grads, want_grads):
        torch.testing.assert_close(x, y)


def test_entropy_alone_can_be_differentiated_and_nothing_is_fine():
    hidden = torch.randn(3, 4, requires_grad=True)
    weight = torch.randn(5, 4)
    logprob, entropy = selected_logprobs(hidden, weight, torch.tensor([0, 1, 2]), want_entropy=True)
    assert entropy is not None
    entropy.sum().backward()
    assert hidden.grad is not None
    empty, none = selected_logprobs(hidden[:0], weight, torch.empty(0, dtype=torch.long))
    assert empty.shape == (0,)
    assert none is None
    assert logprob.shape == (3,)


def test_bfloat16_states_give_float32_logprobs():
    hidden, weight = torch.randn(4, 8).bfloat16(), torch.randn(5, 8).bfloat16()
    got, _ = selected_logprobs(hidden, weight, torch.tensor([0, 1, 2, 3]))
    assert got.dtype == torch.float32


def test_a_weight_in_float32_is_taken_in_the_dtype_of_the_states_and_gets_its_gradient_in_float32(
    monkeypatch: pytest.MonkeyPatch,
):
    """The gradient of the weight is a sum over chunks, and must not be rounded to bfloat16 after each of them."""
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", 40)
    torch.manual_seed(0)
    hidden = torch.randn(64, 8).bfloat16().requires_grad_()
    weight = torch.randn(5, 8, requires_grad=True)
    tokens = torch.randint(0, 5, (64,))
    got, _ = selected_logprobs(hidden, weight, tokens)
    torch.testing.assert_close(got, selected_logprobs(hidden, weight.bfloat16(), tokens)[0])
    got.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.bfloat16
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    assert not torch.equal(weight.grad, weight.grad.bfloat16().float())


def test_one_chunk_makes_its_logits_once_and_several_make_them_again(monkeypatch: pytest.MonkeyPatch):
    made = []
    right = logprobs._logits
    monkeypatch.setattr(logprobs, "_logits", lambda h, *a: made.append(len(h)) or right(h, *a))
    hidden, weight = torch.randn(6, 4, requires_grad=True), torch.randn(5, 4)
    tokens = torch.randint(0, 5, (6,))
    selected_logprobs(hidden, weight, tokens)[0].sum().backward()
    assert made == [6]
    monkeypatch.setattr(logprobs, "CHUNK_ELEMENTS", 20)
    selected_logprobs(hidden, weight, tokens)[0].sum().backward()
    assert made[1:] == [4, 2, 4, 2]
