from __future__ import annotations

import pytest

from hone.kernels.decode_tiles import group_rows, rows_per_tile


@pytest.mark.parametrize(
    ("group", "rep", "query_bytes", "rows"),
    [(16, 2, 256, 16), (1000, 2, 256, 64), (1000, 2, 512, 32), (1, 7, 256, 2), (1, 1, 256, 16), (1, 200, 256, 1),
     (33, 1, 64, 64), (1000, 1, 1 << 20, 16)],
)  # fmt: skip
def test_tiles_hold_the_largest_group_within_what_a_kernel_can_multiply(
    group: int, rep: int, query_bytes: int, rows: int
) -> None:
    assert rows_per_tile(group, rep, query_bytes) == rows


def test_every_row_is_in_one_tile_of_its_own_prefix() -> None:
    prefixes = ["a", "b", "a", None, "a", "a", None, "b", "a"]
    table, examples = group_rows(prefixes, 3)
    assert sorted(row for row in table.reshape(-1).tolist() if row >= 0) == list(range(9))
    assert len(table) == len(examples) == 4  # `a` has two tiles
    for tile, example in zip(table.tolist(), examples):
        assert {prefixes[row] for row in tile if row >= 0} == {prefixes[example]}
