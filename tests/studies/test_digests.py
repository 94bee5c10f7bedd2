"""Every study that ships tells its cells apart, so that a changed file or setting voids what it should."""

from __future__ import annotations

import pytest

from hone.studies import harness


@pytest.mark.parametrize("name", harness.ids())
def test_cells_have_keys_and_digests_of_their_own(name):
    study = harness.load(name)
    cells = study.cells(False)
    assert len({cell.key for cell in cells}) == len(cells)
    assert len({study.digest(cell) for cell in cells}) == len(cells)


@pytest.mark.parametrize("name", harness.ids())
def test_a_short_cell_is_no_result_of_the_long_form(name):
    study = harness.load(name)
    short = {study.digest(cell) for cell in study.cells(True)}
    assert not short & {study.digest(cell) for cell in study.cells(False)}
