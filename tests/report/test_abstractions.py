"""Tables of what abstractions were worth, from a run's evaluations."""

from __future__ import annotations

from pathlib import Path

from hone.report import abstractions
from hone.report.data import RunData


def run_with(*evals):
    return RunData(Path("run"), "run", {}, {}, (), evals, (), ())


def share(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def said(best):
    rows = [
        {"budget": m * k, "abstractions": m, "solutions": k, "success": share(0.2 * m + 0.1 * k)}
        for m in (1, 2) for k in (1, 2)
    ]  # fmt: skip
    success = {"w/o": share(0.2), "avg": share(0.3), "best": share(best), "w/o pass@2": share(0.35)}
    return {"success": success, "allocation": rows, "abstractions": 2, "samples": 2}


def test_what_abstractions_were_worth():
    run = run_with(
        {"step": 0, "abstractions": said(0.5)}, {"step": 5}, {"step": 9, "abstractions": said(0.6)}
    )
    header, rows = abstractions.success(run)
    assert header == [
        "step", "without", "average of all", "best of all (an oracle's choice)", "without, pass@2",
    ]  # fmt: skip
    assert [row[0][0] for row in rows] == ["0", "9"]
    assert [cell[0] for cell in rows[1][1:]] == ["20.0%", "30.0%", "60.0%", "35.0%"]
    assert rows[1][3][1] == "50–70%"
    header, rows = abstractions.allocation(run)
    assert header == ["solutions in all", "1 abstraction", "2 abstractions"]
    assert [[cell[0] for cell in row] for row in rows] == [
        ["1", "30.0%", "–"], ["2", "40.0%", "50.0%"], ["4", "–", "60.0%"],
    ]  # fmt: skip


def test_a_run_without_abstractions_has_no_tables():
    assert abstractions.success(run_with({"step": 0})) == (
        ["step", "without", "average of all", "best of all (an oracle's choice)"], [],
    )  # fmt: skip
    assert abstractions.allocation(run_with())[1] == []
    odd = run_with({"step": 0, "abstractions": {"success": [1], "allocation": "x"}})
    assert [cell[0] for cell in abstractions.success(odd)[1][0]] == ["0", "–", "–", "–"]
