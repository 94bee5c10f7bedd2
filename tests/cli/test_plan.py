"""`hone plan`: from a measured micro model to a recipe that `hone train` takes."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

import hone
from hone.cli import main
from hone.cli.plan import bars, expectation
from hone.compute.measurement import Measurement
from hone.compute.rollout_cost import RolloutCost
from hone.core.errors import RecipeError
from hone.methods import cards
from hone.recipes.load import resolve

MICRO = ("demo", "model=micro:new", "task.sizes=5", "num_generations=4", "problems_per_step=2",
         "max_completion_length=6", "eval.problems=2", "eval.samples=2", "eval.k=[1]")  # fmt: skip
MEASURED = ("--problems", "3", "--samples", "2")
COST = RolloutCost(60, 10, 1, 3, 1e6, 2e5, 2.1e5, seconds=0.01)
EASY = Measurement(
    "m", "maze", 16, (0.4, 0.5), {"value": 0.45, "low": 0.4, "high": 0.5}, 0.0, 0.0, None, COST
)
FIRST = ["num_generations", "problems_per_step", "steps", "learning_rate", "basis", "expected"]


def call(*words: str):
    return CliRunner().invoke(main.app, ["plan", *words], env={"COLUMNS": "100"})


@pytest.fixture
def easy(monkeypatch):
    """A base model that is not measured."""
    monkeypatch.setattr("hone.training.plan.measure_base", lambda *_, **__: EASY)


def test_a_plan_is_a_recipe_that_train_takes(tmp_path):
    file = tmp_path / "planned.yaml"
    result = call(*MICRO, *MEASURED, "--budget", "1000", "--out", str(file))
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    for words in (
        "Basis: a prior.",
        "not predicted",
        "how sure",
        "0.0 to 0.1 ████",
        "A prior, not a measurement",
    ):
        assert words in shown
    written = yaml.safe_load(file.read_text())
    recipe = resolve(str(file))[0]
    assert recipe.num_generations * recipe.problems_per_step * recipe.steps <= 1000
    assert written["num_generations"] == recipe.num_generations == 8
    assert (recipe.task.options, recipe.model, recipe.eval.samples) == ({"sizes": 5}, "micro:new", 2)
    assert recipe.learning_rate == pytest.approx(
        2e-4 * (recipe.num_generations * recipe.problems_per_step / 8) ** 0.5
    )
    tried = CliRunner().invoke(main.app, ["train", str(file), "--dry-run"])
    assert tried.exit_code == 0, tried.output
    assert "nothing was trained" in tried.stdout
    again = call(*MICRO, *MEASURED, "--budget", "2000", "--json", "--out", str(file))
    assert "was measured before" in again.stderr
    found = json.loads(again.stdout)
    assert list(found)[: len(FIRST)] == FIRST
    assert found["basis"] == "prior"
    assert found["expected"] is None
    assert found["recipe"] == yaml.safe_load(file.read_text())
    assert sum(found["difficulty"]["histogram"]) == 3
    assert found["cost"]["seconds"] > 0


def test_python_gives_the_same_object(easy):
    found = hone.plan("demo", budget=1e5, unit="rollouts")
    result = call("demo", "--budget", "1e5", "--json")
    assert json.loads(result.stdout) == json.loads(json.dumps(found))
    assert (found["num_generations"], found["problems_per_step"], found["steps"]) == (8, 32, 390)
    assert found["recipe"]["kl"] == {"name": "loss", "beta": 0.001}


@pytest.mark.parametrize("method", [name for name in cards.training_ids() if name not in ("sft", "ricol")])
def test_every_method_takes_its_planned_recipe(easy, method):
    found = hone.plan("demo", budget=1e6, method=method, target="best@4")
    recipe = resolve(found["recipe"])[0]
    assert recipe.steps == found["steps"]
    assert recipe.kl is not None


def test_what_the_recipe_sets_itself_stays_and_what_would_end_it_goes(easy):
    found = hone.plan("demo", budget=1e5, kl="none", entropy_coef=0.01, max_sampled_tokens=5)
    assert found["keys"] == {}
    assert (found["recipe"]["kl"], found["recipe"]["entropy_coef"]) == ("none", 0.01)
    assert "max_sampled_tokens" not in found["recipe"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo", "--budget", "10"), "fewer than one step"),
        (("demo", "--budget", "1e5", "--unit", "hour"), "Did you mean `hours`?"),
        (("demo", "--budget", "1e5", "--unit", "price"), "--price-per-hour"),
        (("demo", "--budget", "1e5", "--target", "maj@4"), "no target"),
        (("demo", "stpes=4", "--budget", "1e5"), "`stpes`. Did you mean `steps`?"),
    ],
)
def test_what_cannot_be_planned_is_refused(easy, words, said):
    result = call(*words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_phases_are_not_planned(easy):
    with pytest.raises(RecipeError, match="2 phases"):
        hone.plan({"task": "maze", "phases": [{"steps": 1}, {"steps": 2}]}, budget=1e5)


def test_a_prediction_is_shown_with_its_limits():
    found = {"basis": "sweep", "target": "pass@1", "expected": {"value": 0.5, "low": 0.42, "high": 0.6}}
    assert expectation(found) == "Basis: your sweep. Expected pass@1: 50.0% [42.0%, 60.0%]."


def test_bars_are_as_long_as_their_counts():
    assert [line.count("█") for line in bars([0, 1, 4])] == [0, 10, 40]


@pytest.fixture
def swept(tmp_path, monkeypatch):
    """A sweep of two groups with two seeds: what its runs wrote, without having run."""
    import numpy as np

    rows = []
    for n in (4, 16):
        for seed in range(2):
            cell = f"num_generations={n},problems_per_step=8"
            folder = tmp_path / "runs" / cell / f"seed{seed}"
            folder.mkdir(parents=True)
            recipe = resolve("demo", {"num_generations": n, "problems_per_step": 8, "steps": 2048 // (8 * n),
                                      "seed": seed, "learning_rate": 1e-4 * n**0.5})[0]  # fmt: skip
            (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.dump()))
            (folder / "data.json").write_text(json.dumps({"splits": {"train": None}}))
            rng, lines = np.random.default_rng([n, seed]), []
            for step in range(1, recipe.steps + 1):
                rate = 0.1 + (0.3 if n == 4 else 0.6) * (1 - np.exp(-step * n * 8 / 800))
                right = rng.binomial(n, rate, 8).tolist()
                line = {"step": step, "rollouts": step * n * 8, "time/step": 10.0 * n}
                lines.append(line | {"groups/judged": [n] * 8, "groups/correct": right})
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            rows.append({"cell": cell, "folder": f"runs/{cell}/seed{seed}"})
    (tmp_path / "sweep.json").write_text(json.dumps({"runs": rows}))
    return tmp_path


def test_a_sweep_is_planned_from(swept, tmp_path):
    file = tmp_path / "planned.yaml"
    result = call("--sweep", str(swept), "--budget", "4096", "--out", str(file))
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "the best number of rollouts of a problem" in shown
    assert "Basis: your sweep. Expected pass@1:" in shown
    recipe = resolve(str(file))[0]
    assert (recipe.num_generations, recipe.problems_per_step, recipe.steps, recipe.seed) == (16, 8, 32, 0)
    assert (recipe.task.name, recipe.method, recipe.learning_rate) == ("maze", "maxrl", 4e-4)
    found = hone.plan("demo", sweep=swept, budget=0.5, unit="hours", method="rloo")
    assert list(found)[: len(FIRST)] == FIRST
    assert found["basis"] == "sweep"
    assert found["expected"]["low"] <= found["expected"]["value"] <= found["expected"]["high"]
    assert found["rollouts"] == 11 * 128  # 1,440 rollouts in half an hour, at 1.25 s each
    assert any("another `method`, `credit`" in text for text in found["warnings"])
    refused = call("--sweep", str(swept), "--budget", "1e6")
    assert refused.exit_code == 2
    assert "No run of the sweep reaches" in refused.stderr
