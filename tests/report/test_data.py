from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from hone.core.errors import CheckpointError
from hone.report import data
from report.fake_run import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "demo", steps=12, eval_every=6)


def test_reads_everything(run: Path) -> None:
    read = data.read_run(run)
    assert [row["step"] for row in read.metrics] == list(range(1, 13))
    assert [row["step"] for row in data.evals_of(read)] == [0, 6, 12]
    before, after = data.before_after(read)
    assert before is not None
    assert after is not None
    assert (before["step"], after["step"]) == (0, 12)
    assert data.ks(after) == [1, 2, 4, 8, 16, 32, 64]
    assert data.ks(after, "worst") == [1, 2, 4, 8, 16]
    assert data.method_of(read) == "rloo"
    assert read.notes == ()


def test_positions_are_what_had_been_spent_on_the_sampling_policy(run: Path) -> None:
    read = data.read_run(run)
    assert data.spent_before(read, "rollouts").tolist() == [256.0 * i for i in range(12)]
    assert data.spent_before(read, "step").tolist() == list(range(12))
    assert data.spent_at(read, data.evals_of(read), "rollouts").tolist() == [0.0, 6 * 256.0, 12 * 256.0]


def test_torn_last_line_is_left_out_and_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "torn", steps=4)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "pass_r')
    read = data.read_run(run)
    assert len(read.metrics) == 4
    assert "metrics.jsonl is torn" in read.notes[0]


def test_broken_line_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "broken", steps=4)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text("\n".join([lines[0], "{oops", *lines[2:]]) + "\n")
    with pytest.raises(CheckpointError, match=r"metrics.jsonl` line 2 is not JSON"):
        data.read_run(run)
    (run / "metrics.jsonl").write_text("[1]\n")
    with pytest.raises(CheckpointError, match="line 1 is not a JSON object"):
        data.read_run(run)


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a run folder"):
        data.read_run(tmp_path)
    with pytest.raises(CheckpointError, match="not a folder"):
        data.read_run(tmp_path / "nowhere")
    (tmp_path / "recipe.yaml").write_text("task: [")
    with pytest.raises(CheckpointError, match="not YAML"):
        data.read_run(tmp_path)


def test_a_line_written_again_replaces_the_first(tmp_path: Path) -> None:
    rows = [{"step": 2, "x": 1}, {"step": 1, "x": 2}, {"step": 2, "x": 3}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert data.column(data.read_run(tmp_path).metrics, "x").tolist() == [2, 3]


def test_a_line_without_a_step_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"x": 1}\n')
    read = data.read_run(tmp_path)
    assert len(read.metrics) == 1
    assert "Lines of metrics.jsonl without a step are left out." in read.notes


@pytest.mark.parametrize("value", [None, "1", True, math.nan, math.inf, 10**400, [1], {}])
def test_what_is_no_number_is_missing(value: object) -> None:
    assert math.isnan(data.number({"x": value}, "x"))
    assert data.estimate({"x": value}, "x") is None


def test_totals_prefer_the_summary(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", steps=4)
    (run / "summary.json").write_text('{"seconds": 7.5}')
    read = data.read_run(run)
    assert data.seconds(read) == 7.5
    assert data.total(read, "rollouts") == 4 * 256
    (run / "summary.json").unlink()
    read = data.read_run(run)
    assert data.seconds(read) == pytest.approx(float(np.sum(data.column(read.metrics, "time/step"))))
