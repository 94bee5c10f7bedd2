"""Sweeps: the order of runs, the table, resuming, runs taken from elsewhere, and runs that are stopped."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hone
from hone.api import plan_sweep
from hone.core.errors import CheckpointError, RecipeError
from hone.evals import t_interval
from hone.training import arms, watch
from hone.training.sweep import run_sweep

PLAN = {
    "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 4, "problems_per_step": 2,
    "steps": 16, "max_completion_length": 6, "eval": {"problems": 4, "samples": 4, "k": [1, 4]},
}  # fmt: skip
GRID = {"num_generations": [2, 4]}
A, B = "num_generations=2", "num_generations=4"
LINE = {name: {"value": 0.1, "low": 0.0, "high": 0.3} for name in ("pass@1", "pass@4", "worst@4", "maj@4")}
WORKER = """
import json, pathlib, shutil, sys, time
folder, notes, seed, generations = *map(pathlib.Path, sys.argv[1:3]), *map(int, sys.argv[3:])
with open(notes / "order", "a") as file:
    file.write(f"{generations}.{seed} ")
if generations == 4 and seed == 1 and (notes / "broken").exists():
    sys.exit("the reward broke")
folder.mkdir()
shutil.copy(folder.with_suffix(".yaml"), folder / "recipe.yaml")
slow = (notes / "slow").exists() and generations == 4
right = 0 if slow else generations
with open(folder / "metrics.jsonl", "w") as file:
    for step in range(1, 17):
        if slow and step == 14:
            file.flush()
            time.sleep(20)
        line = {"step": step, "rollouts": 8 * step, "sampled_tokens": 10 * step, "time/step": 0.5,
                "groups/correct": [right] * 2, "groups/judged": [generations] * 2}
        file.write(json.dumps(line) + "\\n")
score = 0.5 + 0.1 * seed + 0.01 * generations
line = {"pass@1": {"value": score}, "pass@4": {"value": 1.0}, "worst@4": {"value": 0.0}, "maj@4": {"value": 0.0}}
(folder / "eval.jsonl").write_text(json.dumps(line) + "\\n")
(folder / "summary.json").write_text(json.dumps({"sampled_tokens": 160, "rollouts": 64, "seconds": 1.5}))
"""


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """Runs that take milliseconds, and a base model that is not measured; returns the folder of their notes."""
    real = arms.command

    def quick(arm):
        real(arm)
        words = [str(arm.folder), str(tmp_path), str(arm.seed), str(arm.recipe.num_generations)]
        return [sys.executable, "-c", WORKER, *words]

    monkeypatch.setattr(arms, "command", quick)
    monkeypatch.setattr(arms, "LOOK", 0.05)
    monkeypatch.setattr("hone.training.standalone.evaluate_model", lambda **settings: LINE)
    return tmp_path


def order(notes: Path) -> list[str]:
    """Which runs started since the last call."""
    file = notes / "order"
    found = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def test_seeds_take_turns_and_the_folder_has_one_table(stub):
    found = hone.sweep(PLAN, GRID, seeds=2, out=stub / "out", workers=1)
    assert order(stub) == ["2.0", "4.0", "2.1", "4.1"]
    assert found == json.loads((stub / "out" / "sweep.json").read_text())
    assert found["metrics"] == ["pass@1", "pass@4", "worst@4"]
    assert found["before"]["worst@4"] == LINE["worst@4"]
    assert [cell["num_generations"] for cell in found["cells"]] == [2, 4]
    assert [cell["rollouts"] for cell in found["cells"]] == [64, 128]
    assert found["learning_rate"] == {"rule": "sqrt", "value": 1e-4, "rollouts_of_a_step": 8}
    assert found["runs"][3] == {
        "cell": B, "seed": 1, "folder": f"runs/{B}/seed1", "stopped": None, "sampled_tokens": 160, "rollouts": 64,
        "seconds": 1.5, "final": {"pass@1": pytest.approx(0.64), "pass@4": 1.0, "worst@4": 0.0},
    }  # fmt: skip
    mean = t_interval([0.52, 0.62])
    row = found["table"][0]
    assert (row["cell"], row["metric"], row["n"]) == (A, "pass@1", 2)
    assert [row["mean"], row["low"], row["high"]] == pytest.approx(list(mean))
    assert hone.sweep(PLAN, GRID, seeds=2, out=stub / "out") == found
    assert order(stub) == []


def test_a_failed_run_is_named_and_can_be_mended(stub):
    (stub / "broken").touch()
    found = hone.sweep(PLAN, GRID, seeds=2, out=stub / "out")
    assert list(found["failures"]) == [f"{B}, seed 1"]
    assert "the reward broke" in found["failures"][f"{B}, seed 1"]
    assert len(found["runs"]) == 3
    (stub / "broken").unlink()
    order(stub)
    assert hone.sweep(PLAN, GRID, seeds=2, out=stub / "out")["failures"] == {}
    assert order(stub) == ["4.1"]


def test_a_folder_of_another_sweep_is_refused(stub):
    hone.sweep(PLAN, {"num_generations": [2]}, out=stub / "out")
    with pytest.raises(CheckpointError, match="another recipe: `learning_rate` was"):
        hone.sweep(PLAN, {"num_generations": [2]}, out=stub / "out", learning_rate=1e-2)


def test_finished_runs_elsewhere_are_taken_and_stay_known(stub):
    hone.sweep(PLAN, {"num_generations": [4]}, out=stub / "old")
    order(stub)
    found = hone.sweep(PLAN, GRID, out=stub / "new", reuse=[stub / "old"])
    assert order(stub) == ["2.0"]
    assert [row["folder"] for row in found["runs"]] == [f"runs/{A}/seed0", f"../old/runs/{B}/seed0"]
    said: list[str] = []
    assert hone.sweep(PLAN, GRID, out=stub / "new", tell=said.append) == found
    assert "2 runs, 2 of them finished before, 1 of these in other folders" in said
    assert order(stub) == []
    shutil.rmtree(stub / "old")
    assert hone.sweep(PLAN, GRID, out=stub / "new")["runs"][1]["folder"] == f"runs/{B}/seed0"
    with pytest.raises(CheckpointError, match="no finished run"):
        hone.sweep(PLAN, GRID, out=stub / "third", reuse=[stub / "old"])


def test_a_dominated_run_is_stopped_and_stays_so(stub):
    (stub / "slow").touch()
    cells = [{"num_generations": n, "problems_per_step": 8 // n} for n in (2, 4)]
    plan = plan_sweep(PLAN, runs=cells)
    said: list[str] = []
    out = stub / "out"
    found = run_sweep(plan, out, workers=1, stop_dominated=True, tell=said.append)
    row = found["runs"][1]
    assert row["stopped"]["why"].startswith("at 104 spent its pass rate was 0.000")
    assert (row["stopped"]["step"], row["stopped"]["compute"], row["rollouts"]) == (13, 104, 104)
    assert (row["final"], row["seconds"]) == ({}, 6.5)
    assert found["failures"] == {}
    assert any("stopped (2 of 2" in text for text in said)
    order(stub)
    assert run_sweep(plan, out, stop_dominated=True) == found
    assert order(stub) == []
    (stub / "slow").unlink()
    again = run_sweep(plan, out)
    assert order(stub) == ["4.0"]
    assert again["runs"][1]["stopped"] is None


def test_a_task_that_repeats_its_problems_cannot_say_that_a_run_is_dominated(tmp_path):
    rows = [{"prompt": f"{i}+1=", "answer": f"{i + 1}"} for i in range(20)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plan = plan_sweep(PLAN | {"task": f"jsonl:{tmp_path / 'sums.jsonl'}"}, GRID)
    with pytest.raises(RecipeError, match="more than once"):
        run_sweep(plan, tmp_path / "out", stop_dominated=True)


def test_a_run_makes_what_a_sweep_reads(tmp_path, monkeypatch):
    from hone.cli.main import app

    def here(self, arm):
        """The arm's own command, in this process."""
        result = CliRunner().invoke(app, arms.command(arm)[3:])
        return None if result.exit_code == 0 else result.output

    monkeypatch.setattr(arms.Workers, "_one", here)
    words = [
        "sweep",
        "demo",
        "--grid",
        "num_generations=2,4",
        "--rollouts",
        "16",
        "--out",
        str(tmp_path / "out"),
    ]
    small = ["model=micro:new", "task.sizes=5", "problems_per_step=2", "max_completion_length=6", "eval.problems=4",
             "eval.samples=4", "eval.k=1,4", "--workers", "1"]  # fmt: skip
    result = CliRunner().invoke(app, words + small, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert [row["rollouts"] for row in found["runs"]] == [16, 16]
    assert all(set(row["final"]) == {"pass@1", "pass@4", "worst@4"} for row in found["runs"])
    evals = (tmp_path / "out" / found["runs"][0]["folder"] / "eval.jsonl").read_text().splitlines()
    assert len(evals) == 1


def test_a_mark_lies_beside_its_run(tmp_path):
    arm = arms.Arm("m", 0, plan_sweep(PLAN, GRID).base, tmp_path / "seed0")
    assert watch.mark_of(arm) == tmp_path / "seed0.stopped.json"
