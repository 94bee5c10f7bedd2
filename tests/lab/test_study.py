"""The study gives a verdict for each claim, and does no part twice. Whether claims hold is not tested."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hone.core.errors import DataError, RecipeError
from hone.evals import Interval
from hone.lab import claims, dials, optima, study

VERDICTS = {"holds", "does not hold", "undecided"}


def short() -> dict:
    """The dials of the study, cut to seconds."""
    made = dials.load()
    made |= {"seeds": 2, "first_seed": 50, "credits": ["rloo"]}
    made["world"] |= {"problems": 12, "held_out": 12, "answers": 8, "features": 6}
    made["sets"] = {name: [[0.0, 0.6]] for name in made["sets"]}
    made["grid"] |= {
        "num_generations": [4, 8, 16],
        "problems_per_step": [8, 16],
        "most": 256,
        "budgets": [256, 512, 1024],
        "first": 256,
    }
    made["tuned"] |= {"credits": ["maxrl"], "sets": ["easy"], "factors": [0.5, 1.0]}
    made["single"] |= {"num_generations": [2, 4], "seeds": 3, "budget": 64}
    made["rates"] |= {"num_generations": 16, "budget": 1024, "sets": ["easy"]}
    made["interference"] |= {"shares": [0.0, 1.0]}
    made["allocation"] |= {"num_generations": 4, "problems_per_step": 4, "cap": 8, "early": 512}
    return made


def test_a_short_study_reaches_verdicts_and_is_not_done_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "RESAMPLES", 20)
    made, out, lines = short(), tmp_path / "claims" / "found.json", []
    whole = study.run(made, out, lines.append)
    found = [row for part in whole["parts"].values() for row in part["findings"]]
    assert {row["claim"] for row in found} == set(claims.CLAIMS)
    for row in found:
        assert row["verdict"] in VERDICTS
        assert (row["low"] <= row["value"] + 1e-6 and row["value"] <= row["high"] + 1e-6) or row[
            "claim"
        ].startswith("n_")
    assert json.loads(out.read_text()) == whole
    assert len(lines) > len(found)
    lines.clear()
    assert study.run(made, out, lines.append) == whole
    assert not lines
    # What a stopped study lacks is done, and nothing else.
    del whole["parts"]["interference"]
    out.write_text(json.dumps(whole))
    study.run(made, out, lines.append)
    assert [line.split(":")[0] for line in lines if not line.startswith("  ")] == ["interference"]


def test_other_dials_are_another_study():
    made = short()
    before = study.digest(made)
    made["learning_rate"] *= 2
    assert study.digest(made) != before


def test_a_strange_file_is_left_alone(tmp_path):
    out = tmp_path / "notes.json"
    out.write_text("[]")
    with pytest.raises(DataError, match="no file of this study"):
        study.run(short(), out)
    assert out.read_text() == "[]"


def test_the_dials_that_ship_are_those_of_the_sheet():
    made = dials.load()
    assert made["seeds"] >= 10
    assert made["world"]["features"] < made["world"]["problems"] * made["world"]["answers"]
    assert made["grid"]["budgets"][-1] >= 16 * made["grid"]["first"]
    assert dials.rate(made, 16, 16) == made["learning_rate"]
    assert dials.rate(made, 64, 16) == 2 * made["learning_rate"]
    with pytest.raises(RecipeError, match="no problem set `eazy`"):
        dials.worlds(made, "eazy")


@pytest.mark.parametrize(
    ("direction", "low", "high", "expected"),
    [
        (">", 0.6, 0.9, "holds"),
        (">", 0.4, 0.9, "undecided"),
        (">", 0.1, 0.5, "does not hold"),
        ("<", 0.1, 0.4, "holds"),
        ("<", 0.1, 0.5, "undecided"),
        ("<", 0.5, 0.9, "does not hold"),
    ],
)
def test_verdicts(direction, low, high, expected):
    claim = claims.Claim("x", "", "", direction, 0.5)
    assert claims.verdict(claim, Interval(0.5, low, high)) == expected


def test_intervals_over_seeds_follow_the_mean():
    values = np.random.default_rng(0).standard_normal(40)
    found = claims.over_seeds(lambda s: float(values[s].mean()), 40)
    exact = claims.paired(values)
    assert found.value == pytest.approx(exact.value)
    assert found.low == pytest.approx(exact.low, abs=0.06)
    assert found.high == pytest.approx(exact.high, abs=0.06)


def test_best_n_is_the_maximum_over_the_whole_grid():
    square = np.full((3, 2, 2, 2), np.nan)  # n, problems, seeds, budgets
    square[0, 0] = 0.5
    square[1, 1] = [[0.2, 0.9], [0.2, 0.9]]
    assert optima.best_n(square, [2, 8, 32], np.array([0, 1])).tolist() == [1.0, 3.0]
    square[2, 0, 1] = 2.0  # one seed of a cell says otherwise
    square[2, 0, 0] = 0.0
    assert optima.best_n(square, [2, 8, 32], np.array([1, 1])).tolist() == [5.0, 5.0]
    assert optima.best_n(square, [2, 8, 32], np.array([0, 0])).tolist() == [1.0, 3.0]


def test_small_statistics():
    assert optima.largest_fall(np.array([1.0, 4.0, 3.0, 5.0, 2.0])) == 3.0
    assert optima.largest_fall(np.array([1.0, 1.0, 2.0])) == 0.0
    assert optima.steps_to(np.array([[0.1, 0.5, 0.2], [0.1, 0.1, 0.1]]), 0.5).tolist() == [2.0, 3.0]
    assert optima.records(np.array([0.1, 0.3, 0.2])).tolist() == [0.1, 0.3, 0.3]


def test_a_seed_is_read_at_a_rate_that_others_chose():
    readings = np.zeros((2, 4, 1))  # rates, seeds, budgets
    readings[0, ::2] = 1.0  # even seeds like rate 0
    readings[1, 1::2] = 1.0  # odd ones rate 1
    assert optima.cross_tuned(readings).ravel().tolist() == [0.0, 0.0, 0.0, 0.0]
    readings[0] = 2.0
    assert optima.cross_tuned(readings).ravel().tolist() == [2.0] * 4
