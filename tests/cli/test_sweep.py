"""`hone sweep` and `hone fit` on the command line: what they print, and what they refuse."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hone.cli import fit, frontier, limits, sweep
from hone.cli.main import app
from hone.training.fitting import fit_runs
from training.written import write_curve, write_sweep


def call(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_a_dry_run_prints_cells_rates_and_the_whole_cost(tmp_path):
    out = tmp_path / "out"
    shown = call(
        "sweep", "demo", "--grid", "num_generations=4,64", "--grid", "problems_per_step=8,32", "--seeds", "4",
        "--rollouts", "16384", "--dry-run", "--out", str(out),
    )  # fmt: skip
    assert "4 cells × 4 seeds" in shown
    assert "num_generations=4,problems_per_step=8 32 512 5e-05 16,384 rollouts" in shown
    assert "num_generations=64,problems_per_step=32 2,048 8 0.0004 16,384 rollouts" in shown
    assert "in all: 16 runs, 262 k rollouts of at most 10.5 M tokens" in shown
    assert not out.exists()


def test_a_list_of_cells_and_a_budget_in_tokens(tmp_path):
    file = tmp_path / "cells.yaml"
    file.write_text("- {num_generations: 4, learning_rate: 1e-5}\n- {method: rloo}\n")
    shown = call("sweep", "demo", "--runs", str(file), "--sampled-tokens", "1000", "--dry-run")
    assert "num_generations=4,learning_rate=1e-05 64 by tokens 1e-05 1,000 sampled tokens" in shown
    assert "method=rloo 512 by tokens 0.0002 1,000 sampled tokens" in shown
    assert "learning rates: the recipe's" in shown


def test_values_of_a_grid_may_be_lists():
    shown = call("sweep", "demo", "--grid", "eval.k=[1,4],[1]", "--learning-rate", "constant", "--dry-run")
    assert "eval.k=[1, 4]" in shown
    assert "eval.k=[1] " in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "either a grid or a list of runs"),
        (["--grid", "num_generations"], "`--grid num_generations` is not a list of values"),
        (
            ["--grid", "steps=1", "--grid", "steps=2"],
            "`--grid steps=2` is not a list of values for one more key",
        ),
        (["--grid", "steps=[1"], "`--grid steps=[1` is not a list"),
        (["--runs", "gone.yaml"], "gone.yaml does not exist"),
        (["--grid", "steps=1,2", "seeds=3"], "No part of this recipe has a key `seeds`"),
    ],
)
def test_a_bad_sweep_is_refused(words, said):
    assert said in call("sweep", "demo", *words, "--dry-run", code=2)


def test_a_file_of_cells_is_a_list_of_mappings(tmp_path):
    file = tmp_path / "cells.yaml"
    file.write_text("num_generations: 4\n")
    assert "is not a list of mappings" in call("sweep", "demo", "--runs", str(file), "--dry-run", code=2)


def test_the_table_says_what_was_stopped(capsys):
    rows = [{"cell": "a", "metric": "pass@1", "mean": 0.25, "low": 0.2, "high": 0.3, "n": 2}]
    stopped = {"why": "behind", "step": 3}
    runs = [{"cell": "a", "stopped": mark} for mark in (None, None, stopped)]
    before = {"pass@1": {"value": 0.1, "low": 0.05, "high": 0.2}}
    sweep.show(
        {"metrics": ["pass@1"], "before": before, "cells": [{"name": "a"}], "runs": runs, "table": rows}
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert "before 10.0% [5.0%, 20.0%]" in shown
    assert "a 3, 1 stopped 25.0% [20.0%, 30.0%]" in shown


def test_a_fit_prints_its_tables_and_writes_everything(tmp_path, monkeypatch):
    def quick(*words, **settings):
        return fit_runs(*words, **settings, resamples=20)

    monkeypatch.setattr("hone.training.fitting.fit_runs", quick)
    folder = write_sweep(tmp_path / "sweep", {4: 0.4, 8: 0.9})
    shown = call("fit", str(folder), "--out", str(tmp_path / "out"), "--form", "sigmoid")
    for part in (
        "pass@1 against rollouts, sigmoid",
        "which wins",
        "real",
        "predicted",
        "first half predicts",
        "frontier",
    ):
        assert part in shown
    assert "n*(C) over all of the other key:" in shown
    written = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert [row["recipe"] for row in written["recipes"]] == ["num_generations=4", "num_generations=8"]


def test_a_fit_as_json_is_a_list_of_recipes(tmp_path):
    run = write_curve(tmp_path / "run", high=0.8)
    result = CliRunner().invoke(
        app, ["fit", str(run), "--json", "--unit", "sampled_tokens", "--metric", "pass@4"]
    )
    rows = json.loads(result.stdout)
    assert [row["unit"] for row in rows] == ["sampled_tokens"]
    assert rows[0]["runs"] == [str(run)]
    assert all(set(rows[0][name]) == {"value", "low", "high"} for name in ("A", "B", "C_mid", "R0"))


def test_what_is_not_known_is_shown_as_such(capsys):
    unknown = {"value": None, "low": None, "high": None}
    assert (limits.share(**unknown), limits.gap(**unknown)) == ("–", "–")
    point = {"value": 8.0, "low": 4.0, "high": 16.0, "identified": False}
    best = {"compute": [10.0], "reward": [{"value": 0.5, "low": None, "high": None}], "num_generations": [point],
            "cells": ["a"]}  # fmt: skip
    refused = {"num_generations": {"refused": "All budgets are equal."}}
    frontier.show({"unit": "rollouts", "metric": "pass@1", "best": best, "allocation": refused})
    shown = " ".join(capsys.readouterr().out.split())
    assert "8 [4, 16], not identified" in shown
    assert "n*(C) over all of the other key: no curve: All budgets are equal." in shown
    base = {
        "metric": "pass@1",
        "unit": "rollouts",
        "form": "power",
        "recipes": [],
        "standings": [],
        "frontier": None,
    }
    fit.show(base | {"left_out": {"a": "Too short."}})
    assert "note: a is left out: Too short." in capsys.readouterr().out


def test_fits_of_nothing_are_refused(tmp_path):
    assert "is no run folder" in call("fit", str(tmp_path), code=2)
    run = write_curve(tmp_path / "run", high=0.8)
    assert "say how far to go with `--beyond`" in call("fit", str(run), "--at", "1e6", code=2)
    assert "what an hour of this machine costs" in call("fit", str(run), "--unit", "price", code=2)
