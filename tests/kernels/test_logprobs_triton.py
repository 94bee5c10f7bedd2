"""Logprobs in two passes over the logits, run by Triton's interpreter, against autograd in float64."""

from __future__ import annotations

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from hone.kernels import logprobs, logprobs_triton

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
TOKENS, WIDTH = 5, 16


def case(vocabulary: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(vocabulary)
    hidden = torch.randn(TOKENS, WIDTH, dtype=torch.float32, device=DEVICE)
    weight = torch.randn(vocabulary, WIDTH, dtype=torch.float32, device=DEVICE)
    return hidden, weight, torch.randint(vocabulary, (TOKENS,), device=DEVICE)


def exact(
    hidden: torch.Tensor, weight: torch.Tensor, tokens: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Logprobs and entropies `[2, T]`."""
    logp = (hidden @ weight.T / temperature).log_softmax(-1)
    return torch.stack([logp.gather(1, tokens[:, None])[:, 0], -(logp.exp() * logp).sum(-1)])


@pytest.mark.parametrize("vocabulary", [3, 64, 65, 300])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("entropy", [False, True])
def test_values_and_gradients_are_those_of_autograd(
    vocabulary: int, temperature: float, entropy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logprobs_triton, "BLOCK", 64)
    monkeypatch.setattr(logprobs, "FUSED_CHUNK_ELEMENTS", 2 * vocabulary)  # several chunks
    hidden, weight, tokens = case(vocabulary)
    outer = torch.randn(2, TOKENS, device=DEVICE)
    if not entropy:
        outer[1] = 0

    def grads(function, *inputs):  # type: ignore[no-untyped-def]
        inputs = [x.detach().requires_grad_() for x in inputs]
        found = function(*inputs)
        return found.detach(), torch.autograd.grad((found * outer.to(found.dtype)).sum(), inputs)

    want, slopes = grads(lambda h, w: exact(h, w, tokens, temperature), hidden.double(), weight.double())

    def fused(h: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        one, two = logprobs._FusedLogprobs.apply(h, w, tokens, temperature)
        return torch.stack([one, two if entropy else two.detach()])

    got, mine = grads(fused, hidden, weight)
    torch.testing.assert_close(got.double(), want, atol=2e-4, rtol=2e-4)
    for a, b in zip(mine, slopes):
        torch.testing.assert_close(a.double(), b, atol=5e-4, rtol=5e-4)


def test_logits_that_rule_tokens_out_have_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logprobs_triton, "BLOCK", 4)
    logits = torch.tensor([[float("-inf")] * 4 + [0.5, 1.0, float("-inf"), 2.0]], device=DEVICE)
    tokens = torch.tensor([5], device=DEVICE)
    logprob, lse, entropy = logprobs_triton.statistics(logits, tokens, 1.0)
    live = torch.tensor([0.5, 1.0, 2.0]).log_softmax(-1)
    torch.testing.assert_close(logprob.cpu(), live[1:2], atol=1e-5, rtol=0)
    torch.testing.assert_close(entropy.cpu(), -(live.exp() * live).sum()[None], atol=1e-5, rtol=0)
    grad = logprobs_triton.gradient_(logits, tokens, lse, entropy, torch.ones(1, device=DEVICE), None, 1.0)
    assert torch.isfinite(grad).all()
