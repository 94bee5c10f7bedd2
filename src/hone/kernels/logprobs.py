"""Logprobs of selected tokens, in chunks, without ever holding the logits of all tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hone.core.errors import PolicyError
from hone.kernels.available import has_triton

CHUNK_ELEMENTS = 1 << 24  # logits held at once: 64 MiB in float32
CUDA_CHUNK_ELEMENTS = 1 << 27  # 512 MiB: fewer tokens a product would leave the chip waiting for the weight
FUSED_CHUNK_ELEMENTS = 1 << 29  # 1 GiB in bfloat16, of which there is one copy


def chunk_elements(device: torch.device) -> int:
    """How many logits are held at once on `device`."""
    return CUDA_CHUNK_ELEMENTS if device.type == "cuda" else CHUNK_ELEMENTS


def _logits(hidden: Tensor, weight: Tensor, temperature: float) -> Tensor:
    logits = hidden @ weight.T
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits if temperature == 1 else logits.div_(temperature)


class _SelectedLogprobs(torch.autograd.Function):
    """Keeps hidden states and the log-normaliser; the logits of a chunk are made again in backward. Where one chunk
    holds all tokens, its logprobs are kept instead: no more memory than a chunk has, and no second product."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, tokens: Tensor, temperature: float, want_entropy: bool
    ) -> tuple[Tensor, Tensor]:
        chunk = max(1, chunk_elements(hidden.device) // weight.shape[0])
        cast = weight.to(hidden.dtype)
        logprobs, entropies, normalisers = [], [], []
        kept = None
        for h, t in zip(hidden.split(chunk), tokens.split(chunk)):
            logits = _logits(h, cast, temperature)
            lse = logits.logsumexp(-1)
            logp = logits.sub_(lse[:, None])
            logprobs.append(logp.gather(-1, t[:, None])[:, 0])
            normalisers.append(lse)
            if want_entropy:
                entropies.append(-(logp.exp() * logp).sum(-1))
            if len(tokens) <= chunk:
                kept = logp
        empty = hidden.new_empty(0, dtype=torch.promote_types(hidden.dtype, torch.float32))
        out = torch.cat([empty, *logprobs])
        entropy = torch.cat([empty, *entropies])
        ctx.save_for_backward(hidden, weight, tokens, torch.cat([empty, *normalisers]), entropy, kept)
        ctx.temperature, ctx.chunk = temperature, chunk
        ctx.set_materialize_grads(False)  # an entropy that is only reported costs nothing backward
        return out, entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        hidden, weight, tokens, lse, entropy, kept = ctx.saved_tensors
        # Divided by the temperature here, on [T], rather than on [T, V].
        grad_logprobs, grad_entropy = (g if g is None else g / ctx.temperature for g in grads)
        cast = weight.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        # Summed over chunks in float32 at least, whatever the products are made in.
        grad_weight = torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
        for start in range(0, len(tokens), ctx.chunk):
            span = slice(start, start + ctx.chunk)
            logp = kept
            if logp is None:
                logp = _logits(hidden[span], cast, ctx.temperature).sub_(lse[span, None])
            grad = logp.exp()
            if grad_entropy is None:  # d log p_t / dz_v = [v = t] - p_v
                grad.mul_(-grad_logprobs[span, None])
            else:  # dH/dz_v = -p_v (log p_v + H)
                slope = (logp + entropy[span, None]).mul_(-grad_entropy[span, None])
                grad.mul_(slope if grad_logprobs is None else slope.sub_(grad_logprobs[span, None]))
            if grad_logprobs is not None:
                grad.scatter_add_(1, tokens[span, None], grad_logprobs[span, None])
            grad = grad.to(hidden.dtype)
            grad_hidden[span] = grad @ cast
            grad_weight += grad.T @ hidden[span]
        return grad_hidden, grad_weight, None, None, None


class _FusedLogprobs(torch.autograd.Function):
    """As above in two passes over the logits of a chunk, which are made again in backward, by kernels for a GPU."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, tokens: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        from hone.kernels.logprobs_triton import statistics

        chunk = max(1, FUSED_CHUNK_ELEMENTS // weight.shape[0])
        cast = weight.to(hidden.dtype)
        found = [
            statistics(h @ cast.T, t, temperature) for h, t in zip(hidden.split(chunk), tokens.split(chunk))
        ]
        logprobs, lse, entropy = (torch.cat(parts) for parts in zip(*found))
        ctx.save_for_backward(hidden, weight, tokens, lse, entropy)
        ctx.temperature, ctx.chunk = temperature, chunk
        ctx.set_materialize_grads(False)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor, Tensor, None, None]:
        from hone.kernels.logprobs_triton import gradient_

        hidden, weight, tokens, lse, entropy = ctx.saved_tensors
        of_logprobs, of_entropy = grads
        if of_logprobs is None:
            of_logprobs = torch.zeros_like(lse)
        cast = weight.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        for start in range(0, len(tokens), ctx.chunk):
            span = slice(start, start + ctx.chunk)
            grad = gradient_(
                hidden[span] @ cast.T, tokens[span], lse[span], entropy[span], of_logprobs[span].contiguous(),
                None if of_entropy is None else of_entropy[span].contiguous(), ctx.temperature,
            )  # fmt: skip
            torch.mm(grad, cast, out=grad_hidden[span])
            grad_weight += grad.T @ hidden[span]
        return grad_hidden, grad_weight, None, None


def fuses(hidden: Tensor) -> bool:
    """Whether the kernels for a GPU serve `hidden`."""
    return (
        hidden.is_cuda
        and hidden.dtype in (torch.bfloat16, torch.float16)
        and len(hidden) > 0
        and has_triton()
    )


def selected_logprobs(
    hidden: Tensor, weight: Tensor, tokens: Tensor, temperature: float = 1.0, want_entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """log softmax(hidden @ weight.T / temperature) at `tokens`, and the entropy of that distribution.

    `hidden[T, D]` are the predictors' last hidden states, `weight[V, D]` the output embedding, taken in the dtype of
    `hidden`, `tokens[T]` int64. Returns `logprobs[T]` in nats (float32 at least) and `entropy[T]` in nats, or None
    unless asked for.
    """
    if fuses(hidden):
        logprobs, entropy = _FusedLogprobs.apply(hidden, weight, tokens, temperature)
    else:
        logprobs, entropy = _SelectedLogprobs.apply(hidden, weight, tokens, temperature, want_entropy)
    return logprobs, (entropy if want_entropy else None)


def action_logprobs(
    hidden: Tensor, weight: Tensor, tokens: Tensor, actions: Sequence[int], temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Logprobs `[T]` of `tokens` and `[T, A]` of all `actions` (token ids), normalised over the actions alone.

    Only the rows of the output embedding that belong to actions are read. Raises PolicyError for a token that is no
    action.
    """
    ids = torch.tensor(actions, device=hidden.device)
    logits = _logits(hidden, weight[ids].to(hidden.dtype), temperature)
    logprobs = logits.log_softmax(-1)
    place = tokens[:, None] == ids
    if not bool(place.any(-1).all()):
        wrong = int(tokens[~place.any(-1)][0])
        raise PolicyError(
            f"Token {wrong} was chosen, which is not in the action space.", "Sample with the same `actions`."
        )
    return logprobs[place], logprobs
