"""Logprobs of selected tokens, in chunks, without ever holding the logits of all tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 24  # logits held at once: 64 MiB in float32


def _logits(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    logits = hidden @ weight.T
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits / temperature


class _SelectedLogprobs(torch.autograd.Function):
    """Keeps hidden states and the log-normaliser; the logits of a chunk are made again in backward."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, tokens: Tensor, temperature: float, want_entropy: bool
    ) -> tuple[Tensor, Tensor]:
        chunk = max(1, CHUNK_ELEMENTS // weight.shape[0])
        logprobs, entropies, normalisers = [], [], []
        for h, t in zip(hidden.split(chunk), tokens.split(chunk)):
            logits = _logits(h, weight, temperature)
            lse = logits.logsumexp(-1)
            logprobs.append(logits.gather(-1, t[:, None])[:, 0] - lse)
            normalisers.append(lse)
            if want_entropy:
                logp = logits - lse[:, None]
                entropies.append(-(logp.exp() * logp).sum(-1))
        empty = hidden.new_empty(0, dtype=torch.promote_types(hidden.dtype, torch.float32))
        out = torch.cat([empty, *logprobs])
        entropy = torch.cat([empty, *entropies])
        ctx.save_for_backward(hidden, weight, tokens, torch.cat([empty, *normalisers]), entropy)
        ctx.temperature, ctx.chunk = temperature, chunk
        ctx.set_materialize_grads(False)  # an entropy that is only reported costs nothing backward
        return out, entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden, weight, tokens, lse, entropy = ctx.saved_tensors
        grad_logprobs, grad_entropy = grads
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        for start in range(0, len(tokens), ctx.chunk):
            span = slice(start, start + ctx.chunk)
            logp = _logits(hidden[span], weight, ctx.temperature) - lse[span, None]
            probs = logp.exp()
            grad = torch.zeros_like(probs)
            if grad_logprobs is not None:  # d log p_t / dz_v = [v = t] - p_v
                grad -= probs * grad_logprobs[span, None]
                grad.scatter_add_(1, tokens[span, None], grad_logprobs[span, None])
            if grad_entropy is not None:  # dH/dz_v = -p_v (log p_v + H)
                grad -= probs * (logp + entropy[span, None]) * grad_entropy[span, None]
            grad = (grad / ctx.temperature).to(hidden.dtype)
            grad_hidden[span] = grad @ weight
            grad_weight += grad.T @ hidden[span]
        return grad_hidden, grad_weight, None, None, None


def selected_logprobs(
    hidden: Tensor, weight: Tensor, tokens: Tensor, temperature: float = 1.0, want_entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """log softmax(hidden @ weight.T / temperature) at `tokens`, and the entropy of that distribution.

    `hidden[T, D]` are the predictors' last hidden states, `weight[V, D]` the output embedding, `tokens[T]` int64.
    Returns `logprobs[T]` in nats (float32 at least) and `entropy[T]` in nats, or None unless asked for.
    """
    logprobs, entropy = _SelectedLogprobs.apply(hidden, weight, tokens, temperature, want_entropy)
    return logprobs, (entropy if want_entropy else None)
