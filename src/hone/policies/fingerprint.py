"""A fingerprint of weights: equal on every device, and another one if a single bit of them is another."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from hone.policies.token_policy import TokenPolicy

_CHUNK = 1 << 22  # elements that are widened at once
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_PRIME = 1_000_003  # positions are counted up to it, so that moved values show


@torch.no_grad()
def fingerprint(policy: TokenPolicy) -> str:
    """16 hex digits made of names, dtypes, shapes and values of every weight, the value head's included.

    Values are read as integers and summed with weights that depend on their place, modulo 2^64: such sums are exact,
    whatever the order, so a GPU and a CPU agree. It is no protection against somebody who means to deceive it. One
    pass over the weights, and one wait for the device.
    """
    named = dict(policy.model.named_parameters())
    if policy.value_head is not None:
        named |= {f"value_head.{name}": p for name, p in policy.value_head.named_parameters()}
    sums = torch.stack([_sum(p.detach()) for p in named.values()]).tolist()
    parts = [(name, str(p.dtype), list(p.shape), total) for (name, p), total in zip(named.items(), sums)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _sum(weight: Tensor) -> Tensor:
    """The weighted sum of one tensor's bit patterns, as an int64 scalar on its device."""
    bits = weight.contiguous().flatten().view(_BITS[weight.element_size()])
    total = torch.zeros((), dtype=torch.int64, device=weight.device)
    for start in range(0, len(bits), _CHUNK):
        part = bits[start : start + _CHUNK].long()
        places = torch.arange(start, start + len(part), device=weight.device).remainder_(_PRIME).add_(1)
        total += part.mul_(places).sum()
    return total
