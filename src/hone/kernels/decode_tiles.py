"""Which rows of a decoding batch read which shared prefix: tables that the attention kernels follow."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Int

LEAST_QUERIES = 16  # the least rows of a matrix that tensor cores multiply
MOST_QUERIES = 128
QUERY_BYTES = 32 * 1024  # of one tile, so that what it sums up stays in registers


@dataclass(frozen=True)
class Tiles:
    """A row is in exactly one tile; a prefix has as many tiles as its rows fill."""

    rows: Int[Tensor, "tiles R"]  # int32 row of the batch, -1 where there is none
    base: Int[Tensor, "tiles"]  # place of the prefix's first token among the stored ones
    length: Int[Tensor, "tiles"]  # tokens of the prefix, 0 for rows that follow none


def power_of_two(size: int) -> int:
    """The least power of two that is at least `size`."""
    return 1 << max(0, size - 1).bit_length()


def rows_per_tile(largest_group: int, queries_per_key: int, query_bytes: int) -> int:
    """How many rows share a tile when the largest group has `largest_group` rows."""
    most = min(MOST_QUERIES, power_of_two(QUERY_BYTES // query_bytes))
    queries = max(min(power_of_two(largest_group * queries_per_key), most), LEAST_QUERIES)
    return max(1, queries // queries_per_key)


def group_rows(prefixes: Sequence[Hashable], width: int) -> tuple[npt.NDArray[np.int32], list[int]]:
    """Tiles of rows whose i-th follows `prefixes[i]`: the rows of each, and one of its rows as its example."""
    groups: dict[Hashable, list[int]] = {}
    for row, prefix in enumerate(prefixes):
        groups.setdefault(prefix, []).append(row)
    parts = [rows[i : i + width] for rows in groups.values() for i in range(0, len(rows), width)]
    table = np.full((len(parts), width), -1, np.int32)
    for tile, part in enumerate(parts):
        table[tile, : len(part)] = part
    return table, [part[0] for part in parts]
