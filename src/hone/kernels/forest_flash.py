"""Forest attention by two variable-length flash calls a layer, without padding, for half-precision CUDA tensors.

The first call is every stored segment causal to itself, the tokens flat as they lie. The second is the queries of each
family against the context they share: a forest stores siblings side by side, so its queries are a slice of the flat
tokens, and so is the context where families hang from roots. Deeper contexts are gathered. Flash attention knows
grouped-query heads and gives the log-sum-exp that the merge needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hone.core.forest import Forest
from hone.kernels.transfer import to_device

DTYPES = (torch.float16, torch.bfloat16)
WIDE = ((8, 0), (9, 0), (10, 0))  # compute capabilities whose backward pass takes heads wider than 192


Places = slice | Tensor  # stored places: a slice where they lie side by side, else int64


@dataclass(frozen=True)
class Part:
    """One variable-length call: sequence `i` is queries `cu_q[i]:cu_q[i+1]` against keys `cu_k[i]:cu_k[i+1]`."""

    queries: Places
    keys: Places
    cu_q: Tensor  # [sequences + 1] int32
    cu_k: Tensor  # [sequences + 1] int32
    max_q: int
    max_k: int
    causal: bool


@dataclass(frozen=True)
class VarlenPlan:
    """The calls of one forest: segments to themselves, families to what they share (None without families).

    `repeatable` says whether gradients are summed in the same order every time.
    """

    own: Part
    shared: Part | None
    repeatable: bool


def plan(forest: Forest, device: torch.device, repeatable: bool = True) -> VarlenPlan:
    """The calls of `forest`, made on the host and moved in two copies at most."""
    starts, sizes = np.array(forest.segments).T
    assert (starts == _ends(sizes)[:-1]).all()  # segments tile the stored tokens in order
    families = sorted(forest.families, key=lambda f: int(f.queries[0]))
    num_q = np.array([len(f.queries) for f in families])
    num_k = np.array([len(f.context) for f in families])
    cu, cu_q, cu_k = to_device([_ends(x).astype(np.int32) for x in (sizes, num_q, num_k)], device)
    stored = slice(0, forest.num_stored)
    own = Part(stored, stored, cu, cu, _longest(sizes), _longest(sizes), causal=True)
    if not families:
        return VarlenPlan(own, None, repeatable)
    queries = np.concatenate([f.queries for f in families])
    context = np.concatenate([f.context for f in families])
    at_q, at_k = _places([queries, context], device)
    shared = Part(at_q, at_k, cu_q, cu_k, _longest(num_q), _longest(num_k), causal=False)
    return VarlenPlan(own, shared, repeatable)


def _places(arrays: list[np.ndarray], device: torch.device) -> list[Places]:
    """Each array of places as the slice it is, or on the device; those that must move do so together."""
    out: list[Places] = [slice(int(a[0]), int(a[-1]) + 1) for a in arrays]
    scattered = [at for at, a in enumerate(arrays) if (np.diff(a) != 1).any()]
    if scattered:
        for at, moved in zip(scattered, to_device([arrays[at] for at in scattered], device)):
            out[at] = moved
    return out


def _ends(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)])


def _longest(sizes: np.ndarray) -> int:
    """The longest sequence, two at least: for queries of one token the kernel swaps heads and queries, and splits its
    keys, which saves nothing here and changes rounding."""
    return max(2, int(sizes.max()))


def serves(q: Tensor) -> bool:
    """Whether flash attention computes attention for queries like `q[N, H, D]`.

    It does for float16 and bfloat16 on NVIDIA chips from Ampere on, heads of a multiple of 8 up to 192 (256 where
    the chip's backward pass has it), in a build of torch that contains it. All else takes the bucketed path.
    """
    if q.device.type != "cuda" or q.dtype not in DTYPES or torch.version.hip is not None:
        return False
    capability = torch.cuda.get_device_capability(q.device)
    widest = 256 if capability in WIDE else 192
    fits = q.shape[-1] % 8 == 0 and q.shape[-1] <= widest
    return fits and capability >= (8, 0) and torch.backends.cuda.is_flash_attention_available()


def forward(q: Tensor, k: Tensor, v: Tensor, plan: VarlenPlan, scale: float) -> tuple[Tensor, Tensor]:
    """`q[N, H, D]`, `k[N, Hkv, D]`, `v` -> the output `[N, H, D]` and its log-sum-exp `[H, N]`."""
    out, lse = flash(q, k, v, plan.own, scale)
    shared = plan.shared
    if shared is None:
        return out, lse
    part, part_lse = flash(_at(q, shared.queries), _at(k, shared.keys), _at(v, shared.keys), shared, scale)
    own, own_lse = _at(out, shared.queries), _at(lse.T, shared.queries).T
    share = torch.sigmoid(part_lse - own_lse).T.unsqueeze(-1)
    _set(out, shared.queries, torch.lerp(own, part, share.to(own.dtype)))
    _set(lse.T, shared.queries, torch.logaddexp(own_lse, part_lse).T)
    return out, lse


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, plan: VarlenPlan, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `q`, `k` and `v`, given that of the output: each call's own backward, told the merged rows."""
    shared = plan.shared
    with _same_every_time() if plan.repeatable else nullcontext():
        grads = flash_backward(grad, q, k, v, out, lse, plan.own, scale)
        if shared is None:
            return grads
        parts = flash_backward(
            _at(grad, shared.queries), _at(q, shared.queries), _at(k, shared.keys), _at(v, shared.keys),
            _at(out, shared.queries), _at(lse.T, shared.queries).T.contiguous(), shared, scale,
        )  # fmt: skip
    places = (shared.queries, shared.keys, shared.keys)
    total = [_added(into, place, part) for into, place, part in zip(grads, places, parts)]
    return total[0], total[1], total[2]


def _at(x: Tensor, place: Places) -> Tensor:
    if isinstance(place, slice):
        return x.narrow(0, place.start, place.stop - place.start)
    return x.index_select(0, place)


def _set(x: Tensor, place: Places, rows: Tensor) -> None:
    if isinstance(place, slice):
        _at(x, place).copy_(rows)
    else:
        x.index_copy_(0, place, rows)


def _added(x: Tensor, place: Places, rows: Tensor) -> Tensor:
    """`x` with `rows` added at `place`, where a place may occur many times: a root is in every deeper context."""
    if isinstance(place, slice):
        _at(x, place).add_(rows)
        return x
    # Summed in float32, by the accumulation that sorts: the order of the terms, so the result, is always the same.
    wide = torch.promote_types(x.dtype, torch.float32)
    return x.to(wide).index_put_((place,), rows.to(wide), accumulate=True).to(x.dtype)


def flash(q: Tensor, k: Tensor, v: Tensor, part: Part, scale: float) -> tuple[Tensor, Tensor]:
    """One call: `q[Tq, H, D]`, `k[Tk, Hkv, D]`, `v` -> the output `[Tq, H, D]` and its log-sum-exp `[H, Tq]`."""
    out, lse, *_ = torch.ops.aten._flash_attention_forward(
        q, k, v, part.cu_q, part.cu_k, part.max_q, part.max_k, 0.0, part.causal, False, scale=scale
    )
    return out, lse


def flash_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, part: Part, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of one call's `q`, `k`, `v`."""
    random = torch.empty(2, dtype=torch.uint64, device=q.device)  # of dropout, which there is none of
    grads = torch.ops.aten._flash_attention_backward(
        grad, q, k, v, out, lse, part.cu_q, part.cu_k, part.max_q, part.max_k, 0.0, part.causal,
        random, random, scale=scale,
    )  # fmt: skip
    return grads[0], grads[1], grads[2]


@contextmanager
def _same_every_time() -> Iterator[None]:
    """Ask torch for the deterministic variant of a kernel: by default, flash attention adds up the gradient of a query
    in the order in which its blocks happen to finish.

    The request holds for the whole process, so nothing else may use torch meanwhile: much of it would refuse.
    """
    options: Any = torch.utils.deterministic
    mode, fill = torch.get_deterministic_debug_mode(), options.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("error")
    options.fill_uninitialized_memory = False  # a check for code that reads what it never wrote
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        options.fill_uninitialized_memory = fill
