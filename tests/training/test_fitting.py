"""Fits of runs: curves, standings, predictions that end somewhere, held-out errors, and the frontier."""

from __future__ import annotations

import json

import pytest

from hone.core.errors import DataError
from hone.training.fitting import fit_runs
from hone.training.frontiers import frontier_of
from hone.training.series import read_runs
from training.written import write_curve, write_run, write_sweep

LOW, HIGH = "num_generations=4", "num_generations=8"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = write_sweep(tmp_path_factory.mktemp("fit") / "sweep", {4: 0.4, 8: 0.9})
    return fit_runs([folder], resamples=60)


def test_a_recipe_is_fitted_over_its_seeds(found):
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [(row["recipe"], len(row["runs"]), row["unit"]) for row in found["recipes"]] == [
        (LOW, 2, "rollouts"), (HIGH, 2, "rollouts"),
    ]  # fmt: skip
    for row in found["recipes"]:
        assert row["A"]["low"] <= row["A"]["value"] <= row["A"]["high"]
    assert found["largest_compute"] == 23 * 8


def test_recipes_that_begin_alike_share_what_they_read_before_the_first_update(found):
    low, high = (row["R0"] for row in found["recipes"])
    assert low == high
    assert low["low"] < low["value"] < low["high"]


def test_who_wins_at_which_budget_and_whether_it_is_real(found):
    last = found["standings"][-2]
    assert (last["compute"], last["order"][0], last["real"]) == (184, HIGH, True)
    assert last["lead"]["low"] > 0.2
    assert found["standings"][-1]["times_the_data"] == 2
    assert [row["compute"] for row in found["standings"]] == [11.5, 23, 46, 92, 184, 368]


def test_predictions_end_where_it_is_said(found, tmp_path):
    ahead = found["recipes"][1]["predictions"]
    assert [(one["compute"], one["times_the_data"]) for one in ahead] == [(368, 2)]
    assert 0.7 < ahead[0]["value"] < 1
    run = write_curve(tmp_path / "a", high=0.8)
    with pytest.raises(DataError, match=r"5 times the largest compute .* predictions end at 4 times"):
        fit_runs([run], at=[920], resamples=20)
    assert fit_runs([run], at=[920], beyond=5, resamples=20)["recipes"][0]["predictions"][0]["compute"] == 920


def test_the_first_half_predicts_the_second(found):
    held = found["recipes"][1]["held_out"]
    assert [(one["form"], one["early"]) for one in held] == [
        ("scalerl", True), ("scalerl", False), ("power", True), ("power", False),
    ]  # fmt: skip
    assert all(abs(one["end"]) < 0.15 for one in held[:2])
    assert found["recipes"][1]["record_bias"]["end"]["value"] > 0


def test_a_recipe_that_is_too_short_is_left_out_with_the_reason(tmp_path):
    good, short = write_curve(tmp_path / "a", high=0.8), write_run(tmp_path / "b", learning_rate=1e-3)
    found = fit_runs([good, short], resamples=20)
    assert list(found["left_out"]) == ["learning_rate=0.001"]
    assert found["frontier"] is None
    assert found["standings"] == []
    with pytest.raises(DataError, match="No recipe can be fitted"):
        fit_runs([short], resamples=20)


def test_the_frontier_names_the_best_setting_for_a_budget(found):
    best = found["frontier"]["best"]
    at_the_end = best["num_generations"][-1]
    assert (at_the_end["value"], at_the_end["low"], at_the_end["identified"]) == (8, 8, True)
    assert best["cells"][-1] == HIGH
    assert len(best["compute"]) == len(best["reward"]) == len(best["steps"]) == 64
    assert best["steps"][-1]["value"] == pytest.approx(best["compute"][-1] / (8 * 2))
    assert list(found["frontier"]["pooled"]) == list(found["frontier"]["allocation"]) == ["num_generations"]


def test_a_frontier_in_tokens_has_no_steps(tmp_path):
    runs = read_runs([write_sweep(tmp_path / "sweep", {4: 0.4, 8: 0.9})], "sampled_tokens")
    assert "steps" not in frontier_of([run.series for run in runs], 10)["best"]
    with pytest.raises(DataError, match="no frontier"):
        frontier_of([runs[0].series], 10)
