"""Compile a policy's decoder layers ahead of training, and check that they still compute the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch._dynamo.exc import TorchDynamoException

from hone.core.errors import PolicyError
from hone.core.forest import Forest
from hone.policies import expanded, layers

if TYPE_CHECKING:
    from hone.policies.token_policy import TokenPolicy

ANSWERS = 15  # of one made-up prompt


def compile_layers(policy: TokenPolicy, tokens: int) -> float:
    """Set `policy.compiled` after one pass with and one without gradients; see `TokenPolicy.compile`."""
    name = type(policy.model).__name__
    if not layers.decoder_layers(policy.model):
        raise PolicyError(
            f"{name} does not mark its layers, so they cannot be compiled.", "Set `compile: false`."
        )
    start = time.perf_counter()
    forest = _forest(policy, tokens)
    with torch.no_grad():
        expected = policy.score(forest).logprobs
    policy.compiled = True
    try:
        with torch.no_grad():
            found = [policy.score(forest).logprobs]
        with torch.enable_grad():
            logprobs = policy.score(forest).logprobs
            torch.autograd.grad(logprobs.sum(), policy.parameters(), allow_unused=True)
        found.append(logprobs.detach())
    except TorchDynamoException as error:
        policy.compiled = False
        first = str(error).strip().splitlines()[0]
        raise PolicyError(
            f"The layers of {name} cannot be compiled: {first}.",
            "torch.compile needs a C++ compiler (`apt-get install g++`) and Python's headers; or set `compile: false`.",
        ) from error
    # Rounding differs between fused and separate kernels, by far less than one nat.
    limit = 1e-2 if policy.value_dtype in (torch.float32, torch.float64) else 0.3
    worst = max(float((f - expected).abs().max()) for f in found)
    if not worst < limit:
        policy.compiled = False
        raise PolicyError(
            f"The compiled layers of {name} give logprobs that differ by up to {worst:.2g} nats.",
            "Set `compile: false`, and report the versions of torch and transformers.",
        )
    return time.perf_counter() - start


def _forest(policy: TokenPolicy, tokens: int) -> Forest:
    """A forest of about `tokens` stored tokens: the compiler prepares for sizes like the first it sees."""
    length = max(2, min(64, policy.max_context // 2, tokens // (ANSWERS + 1)))
    groups = max(1, tokens // (length * (ANSWERS + 1)))
    vocabulary = policy.model.config.get_text_config().vocab_size
    return expanded.probe(vocabulary, [(length, [length] * ANSWERS)] * groups)
