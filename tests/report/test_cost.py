"""What a run cost, by phase."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hone.report import cost
from hone.report.data import read_run, running
from report.fake_run import write_run


def test_phases_and_facts(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, steps=12))
    heads, rows = cost.phases(run)
    assert heads == ["phase", "time", "FLOPs", "bytes"]
    found = {row[0][0]: row for row in rows}
    assert [*found] == ["sampling", "training", "all steps", "evaluation"]  # nothing was scored
    assert found["training"][1] == ("1 min 5 s", "")
    assert found["sampling"][2][1] == "25% of the steps"
    assert found["training"][2][1] == "75% of the steps"
    assert found["evaluation"][2] == ("7.0 B", "")
    facts = dict(cost.facts(run))
    assert facts["price"] == "0.25"
    assert facts["prompt tokens"] == "10,944 computed, 164 k saved by sharing"
    assert facts["rollouts done again"] == "512"
    assert facts["time lost"] == "6.5 s"
    assert "tokens thrown away" not in facts  # none were


def test_what_was_not_counted_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "rollouts": 8}\n')
    run = read_run(tmp_path)
    assert cost.phases(run)[1] == []
    assert cost.facts(run) == []


def test_seconds_and_price_are_running_totals(tmp_path: Path) -> None:
    lines = [{"step": step, "time/step": 900.0} for step in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "recipe.yaml").write_text("price_per_hour: 2.0\n")
    run = read_run(tmp_path)
    assert running(run, "seconds").tolist() == [900, 1800]
    assert running(run, "price").tolist() == pytest.approx([0.5, 1.0])
    assert running(run, "flops").tolist() == pytest.approx([float("nan")] * 2, nan_ok=True)
