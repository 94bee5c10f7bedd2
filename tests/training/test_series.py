"""Run folders as series: readings before each update, units, metrics, and runs that repeat their problems."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from hone.core.errors import CheckpointError, DataError
from hone.training.series import read_runs, read_series
from training.written import evaluation, write_run


def test_a_reading_is_of_the_policy_before_the_step(tmp_path):
    found = read_series(write_run(tmp_path / "a", seed=3), cell="a")
    assert (found.cell, found.seed, found.num_generations, found.problems_per_step) == ("a", 3, 4, 2)
    assert found.compute.tolist() == [0, 8, 16]
    assert found.reward.tolist() == [0.25, 0.75, 1.0]
    assert found.problems.tolist() == [2, 2, 2]


def test_best_and_worst_of_k_leave_out_groups_that_are_too_small(tmp_path):
    run = write_run(tmp_path / "a")
    best, worst = read_series(run, metric="pass@3"), read_series(run, metric="worst@2")
    assert best.reward.tolist() == pytest.approx([0.5, 1.0, 1.0])  # of 2 right among 4, every 3 have one
    assert best.problems.tolist() == [2, 1, 2]
    assert worst.reward.tolist() == pytest.approx([1 / 12, 0.5, 1.0])
    with pytest.raises(DataError, match=r"4 rollouts that .* gives a problem"):
        read_series(run, metric="pass@5")
    with pytest.raises(DataError, match="is not a metric"):
        read_series(run, metric="maj@4")


def test_steps_without_a_judged_rollout_are_left_out(tmp_path):
    run = write_run(tmp_path / "a", [([0, 2], [4, 4]), ([0, 0], [0, 0]), ([4, 4], [4, 4])])
    assert read_series(run).compute.tolist() == [0, 16]


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        ("sampled_tokens", [0, 30, 60]),
        ("tokens", [0, 80, 160]),
        ("seconds", [0, 1800, 3600]),
        ("price", [0, 1, 2]),
    ],
)
def test_units(tmp_path, unit, wanted):
    found = read_series(write_run(tmp_path / "a"), unit, price_per_hour=2.0)
    assert found.unit == unit
    assert found.compute.tolist() == pytest.approx(wanted)


def test_units_that_a_run_does_not_have_are_refused(tmp_path):
    run = write_run(tmp_path / "a")
    with pytest.raises(DataError, match="has no `flops`"):
        read_series(run, "flops")
    priced = read_series(write_run(tmp_path / "priced", price_per_hour=2.0), "price")
    assert priced.compute.tolist() == pytest.approx([0, 1, 2])
    with pytest.raises(DataError, match="what an hour of this machine costs"):
        read_series(run, "price")


def test_problems_that_come_again_are_read_from_evaluations(tmp_path):
    once = write_run(tmp_path / "once", size=6)
    assert read_series(once).compute.tolist() == [0, 8, 16]
    with pytest.raises(DataError, match=r"5 training problems.*has 1 evaluations"):
        read_series(write_run(tmp_path / "few", size=5, evals=[evaluation(3, 0.5)]))
    evals = [evaluation(0, 0.1), evaluation(3, 0.5)]
    found = read_series(write_run(tmp_path / "again", size=5, evals=evals), "sampled_tokens")
    assert (found.compute.tolist(), found.reward.tolist(), found.problems.tolist()) == (
        [0, 90],
        [0.1, 0.5],
        [50, 50],
    )


def test_a_curriculum_that_looks_at_results_is_not_read_from_training(tmp_path):
    run = write_run(tmp_path / "a")
    stored = yaml.safe_load((run / "recipe.yaml").read_text()) | {"curriculum": {"name": "dynamic"}}
    (run / "recipe.yaml").write_text(yaml.safe_dump(stored))
    with pytest.raises(DataError, match="curriculum: dynamic"):
        read_series(run)


def test_folders_without_a_run_or_readings_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no run folder"):
        read_series(tmp_path)
    empty = write_run(tmp_path / "empty", [])
    with pytest.raises(CheckpointError, match="no line"):
        read_series(empty)
    (empty / "metrics.jsonl").write_text('{"step": 1, "rollouts": 8}\n')
    with pytest.raises(DataError, match="groups/correct"):
        read_series(empty)
    (empty / "data.json").unlink()
    with pytest.raises(CheckpointError, match=r"no data.json"):
        read_series(empty)


def test_runs_of_one_recipe_are_one_curve(tmp_path):
    runs = [
        write_run(tmp_path / f"{rate}-{seed}", seed=seed, learning_rate=rate)
        for rate in (1e-3, 1e-4)
        for seed in (0, 1)
    ]
    found = read_runs([*runs, runs[0]])
    assert [(one.series.cell, one.series.seed) for one in found] == [
        (f"learning_rate={rate}", seed) for rate in ("0.001", "0.0001") for seed in (0, 1)
    ]
    assert {one.series.cell for one in read_runs(runs[:2])} == {"rloo"}


def test_a_sweep_is_all_of_its_runs(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / "sweep" / "runs" / "x" / f"seed{seed}", seed=seed)
    rows = [{"cell": "num_generations=4", "folder": f"runs/x/seed{seed}"} for seed in (0, 1)]
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({"runs": rows}))
    found = read_runs([tmp_path / "sweep"])
    assert [(one.series.cell, one.series.seed) for one in found] == [
        ("num_generations=4", 0),
        ("num_generations=4", 1),
    ]
    assert np.array_equal(found[0].series.reward, [0.25, 0.75, 1.0])
    other = write_run(tmp_path / "other", learning_rate=1e-3)
    assert [one.series.cell for one in read_runs([tmp_path / "sweep", other])][::2] == [
        "sweep: num_generations=4", "rloo",
    ]  # fmt: skip
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps({"runs": []}))
    with pytest.raises(CheckpointError, match="has ended"):
        read_runs([tmp_path / "sweep"])
