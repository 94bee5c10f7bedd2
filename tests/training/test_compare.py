"""Comparisons: the budget, the arms and their order, resuming, failures, and the paired statistics."""

from __future__ import annotations

import json
import sys
import threading

import pytest
import yaml
from typer.testing import CliRunner

from hone.core.errors import CheckpointError, RecipeError
from hone.evals import t_interval
from hone.recipes.load import resolve
from hone.training import arms, compare
from hone.training.compare import compare_methods

PLAN = {
    "task": {"name": "maze", "sizes": 5},
    "model": "micro:new",
    "num_generations": 4,
    "problems_per_step": 2,
    "steps": 3,
    "max_completion_length": 6,
    "eval": {"problems": 4, "samples": 4, "k": [1, 4]},
}
LINE = {name: {"value": 0.1, "low": 0.0, "high": 0.3} for name in ("pass@1", "pass@4", "maj@1")} | {
    "length": 5.5
}
WORKER = """
import json, pathlib, sys, yaml
folder, seed, method = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if (method, seed) == ("grpo", 1) and not pathlib.Path(sys.argv[4], "mended").exists():
    print("first line"); sys.exit("the reward broke")
folder.mkdir()
(folder / "recipe.yaml").write_text((folder.parent / f"{folder.name}.yaml").read_text())
score = 0.5 + 0.1 * seed + (0.2 if method == "rloo" else 0.05 * seed)
line = {"pass@1": {"value": score}, "pass@4": {"value": 1.0}}
(folder / "eval.jsonl").write_text(json.dumps(line) + "\\n")
(folder / "summary.json").write_text(json.dumps({"sampled_tokens": 140, "rollouts": 24, "seconds": 1.5}))
with open(pathlib.Path(sys.argv[4], "order"), "a") as file:
    file.write(f"{method}{seed} ")
"""


def recipes(**changed):
    found = {name: resolve(PLAN | {"credit": name} | changed)[0] for name in ("rloo", "grpo")}
    return found


@pytest.fixture
def stub(monkeypatch, tmp_path):
    """Arms that take milliseconds, and a base model that is not measured; returns the folder of their notes."""
    real = arms.command

    def quick(arm):
        real(arm)
        return [sys.executable, "-c", WORKER, str(arm.folder), str(arm.seed), arm.label, str(tmp_path)]

    monkeypatch.setattr(arms, "command", quick)
    monkeypatch.setattr("hone.training.standalone.evaluate_model", lambda **settings: LINE)
    return tmp_path


def test_arms_alternate_and_are_paired_over_seeds(stub):
    (stub / "mended").touch()
    said: list[str] = []
    found = compare_methods(recipes(), 3, stub / "out", name="demo", workers=1, tell=said.append)
    assert (stub / "order").read_text().split() == ["rloo0", "grpo0", "rloo1", "grpo1", "rloo2", "grpo2"]
    assert found == json.loads((stub / "out" / "compare.json").read_text())
    assert found["budget"] == {"unit": "sampled_tokens", "value": 132}  # 3 steps x 8 rollouts x 5.5 tokens
    assert found["metrics"] == ["pass@1", "pass@4"]
    assert found["before"]["pass@1"] == LINE["pass@1"]
    assert found["runs"][3] == {
        "method": "grpo", "seed": 1, "final": {"pass@1": pytest.approx(0.65), "pass@4": 1.0},
        "sampled_tokens": 140, "rollouts": 24, "seconds": 1.5, "folder": "arms/grpo/seed1",
    }  # fmt: skip
    mean = t_interval([0.7, 0.8, 0.9])
    row = found["table"][0]
    assert (row["method"], row["metric"], row["n"]) == ("rloo", "pass@1", 3)
    assert [row["mean"], row["low"], row["high"]] == pytest.approx(list(mean))
    gap = t_interval([0.2, 0.15, 0.1])
    pair = found["paired"][0]
    assert (pair["a"], pair["b"], pair["n"], pair["wins"]) == ("rloo", "grpo", 3, 3)
    assert [pair["mean"], pair["low"], pair["high"]] == pytest.approx(list(gap))
    assert any("6 of 6" in text for text in said)


def test_a_failed_arm_is_named_the_others_go_on_and_it_can_be_mended(stub):
    found = compare_methods(recipes(), 2, stub / "out")
    assert list(found["failures"]) == ["grpo, seed 1"]
    assert "the reward broke" in found["failures"]["grpo, seed 1"]
    assert len(found["runs"]) == 3
    pair = found["paired"][0]
    assert (pair["n"], pair["low"], pair["wins"]) == (1, None, 1)
    (stub / "mended").touch()
    (stub / "order").unlink()
    again = compare_methods(recipes(), 2, stub / "out")
    assert again["failures"] == {}
    assert (stub / "order").read_text().split() == ["grpo1"]  # finished arms are reused


def test_a_folder_of_another_comparison_is_refused(stub):
    (stub / "mended").touch()
    compare_methods(recipes(), 1, stub / "out")
    with pytest.raises(CheckpointError, match="run of another recipe"):
        compare_methods(recipes(learning_rate=1e-2), 1, stub / "out")
    with pytest.raises(CheckpointError, match="measured with other settings"):
        compare_methods(recipes(eval={"problems": 5, "samples": 4, "k": [1]}), 1, stub / "out")


def test_a_run_that_stopped_before_its_first_checkpoint_is_moved_aside(stub):
    (stub / "mended").touch()
    torn = stub / "out" / "arms" / "rloo" / "seed0"
    torn.mkdir(parents=True)
    (torn / "metrics.jsonl").write_text("{}\n")
    compare_methods(recipes(), 1, stub / "out")
    assert (torn.with_name("seed0.stopped-1") / "metrics.jsonl").read_text() == "{}\n"
    assert (torn / "summary.json").is_file()


def test_differences_to_a_baseline_only():
    assert compare.pairs(["a", "b", "c"], None) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert compare.pairs(["a", "b", "c"], "b") == [("a", "b"), ("c", "b")]


def test_comparisons_without_meaning_are_refused(tmp_path):
    rloo = recipes()["rloo"]
    with pytest.raises(RecipeError, match="resolve to the same run"):
        compare_methods({"a": rloo, "b": rloo}, 1, tmp_path)
    with pytest.raises(RecipeError, match="samples nothing"):
        compare_methods({"sft": resolve(PLAN | {"method": "sft"})[0]}, 1, tmp_path)
    with pytest.raises(RecipeError, match="Did you mean `grpo`"):
        compare_methods(recipes(), 1, tmp_path, baseline="grp")
    with pytest.raises(RecipeError, match="at least 1"):
        compare_methods(recipes(), 0, tmp_path)
    with pytest.raises(RecipeError, match="`steps` is 0"):
        compare.budget_of(rloo.model_copy(update={"steps": 0}), LINE)


def test_an_arm_ends_by_its_budget_and_is_evaluated_at_its_end(tmp_path, monkeypatch):
    from hone.cli.main import app

    def here(self, arm):
        """The arm's own command, in this process."""
        result = CliRunner().invoke(app, arms.command(arm)[3:])
        return None if result.exit_code == 0 else result.output

    monkeypatch.setattr(arms.Workers, "_one", here)
    found = compare_methods(recipes(max_sampled_tokens=60), 1, tmp_path / "out", workers=1)
    assert found["failures"] == {}
    for row in found["runs"]:
        folder = tmp_path / "out" / row["folder"]
        metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert (
            metrics[-1]["sampled_tokens"] >= 60 > (metrics[-2]["sampled_tokens"] if len(metrics) > 1 else 0)
        )
        evals = (folder / "eval.jsonl").read_text().splitlines()
        assert len(evals) == 1
        assert json.loads(evals[0])["step"] == metrics[-1]["step"]
        assert yaml.safe_load((folder / "recipe.yaml").read_text())["seed"] == 0
    assert compare_methods(recipes(max_sampled_tokens=60), 1, tmp_path / "out")["runs"] == found["runs"]


def test_an_interrupt_ends_what_was_started(tmp_path, monkeypatch):
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(arms, "command", lambda arm: sleeping)
    (tmp_path / "m").mkdir()
    todo = [arms.Arm("m", seed, recipes()["rloo"], tmp_path / "m" / f"seed{seed}") for seed in range(3)]
    workers = arms.Workers(2, lambda text: None)
    started = threading.Event()

    def interrupted(futures):
        while len(workers.running) < 2:
            started.wait(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(arms, "as_completed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        workers.run(todo)
    assert not workers.running
    assert not (tmp_path / "m" / "seed2.log").exists()
