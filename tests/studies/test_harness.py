"""Studies: cells that are there are not run again, verdicts come from intervals and margins, failures are told."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from hone.core.errors import DataError, RecipeError
from hone.lab.claims import Claim
from hone.studies import harness
from hone.studies.harness import Cell, Study

SEEDS = 8
CLAIM = Claim("T1", "the new arm is better", "new less old", ">", 0.5)
RUN: list[str] = []


def cells(short: bool) -> list[Cell]:
    return [Cell(arm, seed, {"of": 1}) for seed in range(2 if short else SEEDS) for arm in ("old", "new")]


def run(cell: Cell) -> dict[str, float]:
    RUN.append(cell.key)
    if cell.key == "new/3" and "new/3" not in RUN[:-1]:
        raise ValueError("a bad day")
    return {"score": cell.seed + (1.0 if cell.name == "new" else 0.0)}


def statistics(results):
    seeds = sorted(set(results.get("old", {})) & set(results.get("new", {})))
    return {"T1": np.array([results["new"][s]["score"] - results["old"][s]["score"] for s in seeds])}


def curves(results):
    line = {"x": [0, 1], "y": [0.0, 1.0], "low": [0.0, 0.5], "high": [0.5, 1.5]}
    return [{"title": "t", "x": "steps", "y": "score", "series": {"new": line}}]


STUDY = Study(
    "toy", "maxrl", "A toy", "tabular", "Nothing.", (CLAIM,), cells, run, statistics, (__file__,), curves
)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    RUN.clear()
    monkeypatch.setattr(harness, "load", lambda name: STUDY)


def test_a_failed_cell_is_told_and_tried_again_and_others_are_kept(tmp_path) -> None:
    out, told = tmp_path / "toy.json", []
    first = harness.run_study(STUDY, out, tell=told.append)
    assert first["missing"] == ["new/3"]
    assert any("new/3: FAILED: ValueError: a bad day" in text for text in told)
    assert first["claims"]["T1"]["verdict"] == "not tested"  # seven seeds are too few
    RUN.clear()
    RUN.append("new/3")
    second = harness.run_study(STUDY, out, tell=told.append)
    assert RUN == ["new/3", "new/3"]
    claim = second["claims"]["T1"]
    assert (claim["verdict"], claim["value"], claim["seeds"]) == ("holds", 1.0, SEEDS)
    assert json.loads(out.read_text(encoding="utf-8")) == second


@pytest.mark.parametrize(
    ("margin", "direction", "verdict"),
    [(0.5, ">", "holds"), (1.5, ">", "does not hold"), (1.5, "<", "holds"), (0.5, "<", "does not hold")],
)
def test_verdicts_follow_margin_and_direction(margin: float, direction, verdict: str) -> None:
    claim = Claim("T1", "s", "x", direction, margin)
    values = 1.0 + 0.01 * np.arange(SEEDS)
    assert harness.judged(STUDY, claim, values)["verdict"] == verdict


def test_a_wide_interval_is_undecided_and_a_number_that_is_none_is_not_tested() -> None:
    wide = np.array([-3.0, 4.0] * 4)
    assert harness.judged(STUDY, CLAIM, wide)["verdict"] == "undecided"
    assert harness.judged(STUDY, CLAIM, np.array([float("nan")] * SEEDS))["verdict"] == "not tested"


def test_cells_of_other_settings_are_run_again(tmp_path) -> None:
    out = tmp_path / "toy.json"
    RUN.append("new/3")
    harness.run_study(STUDY, out, tell=lambda text: None)
    RUN[:] = ["new/3"]
    changed = dataclasses.replace(
        STUDY, cells=lambda short: [dataclasses.replace(c, settings={"of": 2}) for c in cells(short)]
    )
    assert len(harness.run_study(changed, out, only="old/", tell=lambda text: None)["missing"]) == SEEDS
    assert len(RUN) == 1 + SEEDS


def test_a_file_of_something_else_is_refused(tmp_path) -> None:
    out = tmp_path / "toy.json"
    out.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="no file of a study"):
        harness.run_study(STUDY, out)


def test_unknown_studies_have_a_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(RecipeError, match="There is no study `nothing`"):
        harness.load("nothing")
