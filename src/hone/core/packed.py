"""Operations on flat arrays whose entries belong to segments: groups of units, rollouts of tokens.

A segment is named by an arbitrary integer id; ids come in any order and segments have any size. `compact`
turns ids into indices 0..P-1, and every other operation takes such indices. All operations keep the dtype of
the values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hone.core.lazy import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int


def compact(ids: Int[torch.Tensor, "units"]) -> tuple[Int[torch.Tensor, "units"], int]:
    """Indices in 0..P-1, in the order of the sorted ids, and P."""
    unique, index = torch.unique(ids, return_inverse=True)
    return index, len(unique)


def segment_sum(
    values: Float[torch.Tensor, "units"], index: Int[torch.Tensor, "units"], count: int
) -> Float[torch.Tensor, "segments"]:
    """Sum of each segment; 0 for an empty one. Differentiable in `values`."""
    return torch.zeros(count, dtype=values.dtype, device=values.device).index_add(0, index, values)


def segment_size(index: Int[torch.Tensor, "units"], count: int) -> Int[torch.Tensor, "segments"]:
    """Number of entries of each segment."""
    return torch.bincount(index, minlength=count)


def segment_mean(
    values: Float[torch.Tensor, "units"], index: Int[torch.Tensor, "units"], count: int
) -> Float[torch.Tensor, "segments"]:
    """Mean of each segment; 0 for an empty one. Differentiable in `values`."""
    return segment_sum(values, index, count) / segment_size(index, count).clamp(min=1).to(values.dtype)


def segment_min(
    values: Float[torch.Tensor, "units"], index: Int[torch.Tensor, "units"], count: int
) -> Float[torch.Tensor, "segments"]:
    """Smallest value of each segment; +inf for an empty one."""
    start = torch.full((count,), float("inf"), dtype=values.dtype, device=values.device)
    return start.scatter_reduce(0, index, values, "amin")


def segment_max(
    values: Float[torch.Tensor, "units"], index: Int[torch.Tensor, "units"], count: int
) -> Float[torch.Tensor, "segments"]:
    """Largest value of each segment; -inf for an empty one."""
    return -segment_min(-values, index, count)


def segment_constant(
    values: Float[torch.Tensor, "units"], index: Int[torch.Tensor, "units"], count: int
) -> Bool[torch.Tensor, "segments"]:
    """Whether all values of a segment are equal (so also for one value), found by comparing them.

    A standard deviation close to zero would not tell: rounding makes it positive for equal values, and values
    that differ a little make it small.
    """
    return segment_min(values, index, count) >= segment_max(values, index, count)


def segment_std(
    values: Float[torch.Tensor, "units"], index: Int[torch.Tensor, "units"], count: int, *, sample: bool
) -> Float[torch.Tensor, "segments"]:
    """Standard deviation of each segment, dividing by N - 1 (`sample`) or N; 0 for one value, up to
    rounding."""
    deviation = values - segment_mean(values, index, count)[index]
    size = segment_size(index, count)
    divisor = (size - 1 if sample else size).clamp(min=1)
    return torch.sqrt(segment_sum(deviation**2, index, count) / divisor.to(values.dtype))


def broadcast(
    per_unit: Float[torch.Tensor, "units"], unit_of: Int[torch.Tensor, "tokens"]
) -> Float[torch.Tensor, "tokens"]:
    """Give every token the value of its unit; `unit_of` indexes `per_unit`. The one way from units to
    tokens."""
    return per_unit[unit_of]
