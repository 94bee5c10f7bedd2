"""Attention of the native engine: causal over packed prefixes, and in two parts while decoding.

Decoding, a rollout attends to its group's prefix and to its own tokens. The prefix part folds all queries
that share a prefix (rollouts of the group, and query heads of one key-value head) into one long query, so its
keys are read once for the group. The prefix then enters the rollout's own softmax as a single key with score
`lse` and value `out`, which is exact: sum_i exp(s_i) v_i = exp(lse) out over the prefix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int

PADDING = 0.25  # the largest share of a padded sequence that may be padding


def length_buckets(lengths: Sequence[int]) -> list[list[int]]:
    """Items of similar length, in order, so that no item's padding is more than `PADDING` of the padded length."""
    out: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if out and lengths[i] >= (1 - PADDING) * lengths[out[-1][0]]:
            out[-1].append(i)
        else:
            out.append([i])
    return [sorted(bucket) for bucket in out]


def causal_attention(
    q: Float[Tensor, "N H D"],
    k: Float[Tensor, "N Hkv D"],
    v: Float[Tensor, "N Hkv D"],
    rows: int,
    scale: float,
) -> Float[Tensor, "N H D"]:
    """Causal attention of `rows` sequences of equal padded length, laid end to end.

    Padding stands at a sequence's end, where no real token sees it.
    """
    q, k, v = (x.view(rows, -1, *x.shape[1:]).transpose(1, 2) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)
    return out.transpose(1, 2).flatten(0, 1)


@dataclass(frozen=True, eq=False)
class PrefixBlock:
    """Prefixes of similar length that were computed together: `P` of them, padded to `L` tokens at the end."""

    keys_values: Float[Tensor, "layers 2 P Hkv L D"]
    bias: Float[Tensor, "P 1 1 L"] | None  # -inf where padded; None if nothing is
    hidden: Float[
        Tensor, "P width"
    ]  # last hidden state of each prefix, which predicts the first sampled token
    lengths: npt.NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """Size of the keys and values."""
        return self.keys_values.nbytes


@dataclass(frozen=True)
class BlockQueries:
    """Which batch rows attend to which prefixes of one block, as a padded grid over some of its prefixes."""

    keys_values: tuple[tuple[Float[Tensor, "P Hkv L D"], Float[Tensor, "P Hkv L D"]], ...]  # of each layer
    bias: Float[Tensor, "P 1 1 L"] | None
    # batch row of each cell of the grid [prefixes, widest group], any row if unused
    grid: Int[Tensor, "cells"]


@dataclass(frozen=True)
class PrefixPlan:
    """Where every row of a decoding batch finds its prefix. Made anew when a row comes or goes."""

    parts: tuple[BlockQueries, ...]
    places: (
        Int[Tensor, "rows"] | None
    )  # cell of each row among the cells of all parts; None if cells are the rows


Found = Sequence[tuple[PrefixBlock, int]]  # the block of each row's prefix, and its place there


def plan_prefixes(found: Found, device: torch.device) -> PrefixPlan:
    """The plan for rows whose i-th follows prefix `found[i][1]` of the block `found[i][0]`.

    Groups of similar size share a grid, so that a lone row of a group that has ended is not padded to a whole one.
    """
    members: dict[PrefixBlock, list[int]] = {}
    for row, (block, _) in enumerate(found):
        members.setdefault(block, []).append(row)
    index = np.array([i for _, i in found])
    places = np.empty(len(found), np.int64)
    parts: list[BlockQueries] = []
    cells = 0
    for block, listed in members.items():
        of_block = np.array(listed)
        of_block = of_block[np.argsort(index[of_block], kind="stable")]
        used, sizes = np.unique(index[of_block], return_counts=True)
        members_of = np.split(of_block, np.cumsum(sizes)[:-1])
        for chosen in _similar(sizes):
            grid = np.zeros((len(chosen), sizes[chosen].max()), np.int64)
            for line, group in enumerate(chosen):
                rows = members_of[group]
                grid[line, : len(rows)] = rows
                places[rows] = cells + line * grid.shape[1] + np.arange(len(rows))
            cells += grid.size
            parts.append(_queries(block, used[chosen], torch.from_numpy(grid.reshape(-1)).to(device)))
    if len(parts) == 1 and np.array_equal(places, np.arange(cells)):
        return PrefixPlan(tuple(parts), None)
    return PrefixPlan(tuple(parts), torch.from_numpy(places).to(device))


def _similar(sizes: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Groups by size: the largest ones are set apart wherever that saves more than `PADDING` of the grid's cells."""
    order = np.argsort(-sizes, kind="stable")
    cells = np.arange(len(order)) * sizes[order[0]] + np.arange(len(order), 0, -1) * sizes[order]
    cut = int(cells.argmin())
    if cells[cut] > (1 - PADDING) * cells[0]:
        return [np.arange(len(sizes))]
    large, rest = np.sort(order[:cut]), np.sort(order[cut:])
    return [large, *(rest[some] for some in _similar(sizes[rest]))]


def _queries(block: PrefixBlock, prefixes: npt.NDArray[np.int64], grid: Int[Tensor, "cells"]) -> BlockQueries:
    """The part of the plan for `prefixes` of a block: neighbours are read where they are, others copied together."""
    first, last = int(prefixes[0]), int(prefixes[-1])
    neighbours = last - first + 1 == len(prefixes)
    span = slice(first, last + 1) if neighbours else torch.from_numpy(prefixes).to(grid.device)
    keys, values = block.keys_values[:, :, span].unbind(1)
    bias = None if block.bias is None else block.bias[span]
    return BlockQueries(tuple(zip(keys.unbind(0), values.unbind(0))), bias, grid)


def _with_lse(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Full attention `[P, Hkv, Q, D]` of scaled queries and its log-sum-exp `[P, Hkv, Q]`."""
    if q.device.type == "cpu":
        if bias is not None:
            bias = bias.expand(-1, q.shape[1], q.shape[2], -1)
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, attn_mask=bias, scale=1.0
        )
        return out, lse
    scores = (q @ k.transpose(-1, -2)).to(torch.promote_types(q.dtype, torch.float32))
    if bias is not None:
        scores = scores + bias
    lse = scores.logsumexp(-1)
    return (scores - lse[..., None]).exp().to(v.dtype) @ v, lse


def prefix_attention(
    q: Float[Tensor, "rows Hkv rep D"], layer: int, plan: PrefixPlan
) -> tuple[Float[Tensor, "A B Hkv rep D"], Float[Tensor, "A B Hkv rep"]]:
    """Attention of every row to its prefix, with its log-sum-exp. `rep` query heads share a key-value head.

    Queries come already scaled. Row a B + b is at `[a, b]`: where rows lie group after group, B is a group's size, and
    both are views of what the attention gave.
    """
    num_kv, rep, dim = q.shape[1:]
    outs, lses = [], []
    for part in plan.parts:
        keys, values = part.keys_values[layer]
        count = len(keys)
        cells = q if plan.places is None else q.index_select(0, part.grid)
        size = len(cells) // count
        cells = cells.view(count, size, num_kv, rep, dim).transpose(1, 2).reshape(count, num_kv, -1, dim)
        out, lse = _with_lse(cells, keys, values, part.bias)
        outs.append(out.unflatten(2, (size, rep)).transpose(1, 2))
        lses.append(lse.unflatten(2, (size, rep)).transpose(1, 2))
    if plan.places is None:
        return outs[0], lses[0]
    out, lse = (torch.cat([x.flatten(0, 1) for x in parts]) for parts in (outs, lses))
    return out.index_select(0, plan.places).unsqueeze(1), lse.index_select(0, plan.places).unsqueeze(1)


def decode_attention(
    q: Float[Tensor, "rows H D"],
    keys: Float[Tensor, "rows*Hkv D t"],
    values: Float[Tensor, "rows*Hkv t D"],
    bias: Float[Tensor, "rows*Hkv 1 t"] | None,
    layer: int,
    plan: PrefixPlan,
    scale: float,
) -> Float[Tensor, "rows H*D"]:
    """Attention of one new token per row to its prefix and to the row's own tokens so far, itself included.

    `bias` is -inf where a row has no token yet; None if all rows are equally long.
    """
    rows, num_heads, dim = q.shape
    num_kv = len(keys) // rows
    folded = torch.mul(q, scale).view(rows, num_kv, num_heads // num_kv, dim)
    out, lse = prefix_attention(folded, layer, plan)
    # torch.bmm reads the sliced cache where it is; torch.matmul would copy it to merge the leading dimensions.
    queries = folded.view(rows * num_kv, -1, dim)
    if bias is None:
        scores = torch.bmm(queries, keys)
    else:
        scores = torch.baddbmm(bias.expand(-1, queries.shape[1], -1), queries, keys)
    scores = scores.view(*lse.shape, -1).to(lse.dtype)
    weights = torch.cat([lse.unsqueeze(-1), scores], -1).softmax(-1).to(q.dtype)
    mine = torch.bmm(weights.flatten(0, 2)[:, :, 1:], values).view(out.shape)
    return mine.addcmul_(weights[..., :1], out).view(rows, num_heads * dim)
