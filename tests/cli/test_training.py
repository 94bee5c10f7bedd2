"""`train`, `sft` and `eval` on a tiny model, in this process: what is printed, written and refused."""

from __future__ import annotations

import json
import signal

import pytest
from typer.testing import CliRunner

from hone.cli import main
from hone.training.stopping import Interrupted

TINY = (
    "model=micro:new", "task=maze", "task.sizes=5", "num_generations=4", "problems_per_step=2", "steps=2",
    "max_completion_length=6", "eval.problems=4", "eval.samples=4", "eval.k=[1,4]",
)  # fmt: skip


def call(*words: str):
    return CliRunner().invoke(main.app, list(words), env={"COLUMNS": "200"})


def refused(*words: str) -> str:
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert "\n\n" not in result.stderr.strip()
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run and what the command said."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    result = call("train", *TINY, "--out", str(folder))
    assert result.exit_code == 0, result.output
    return folder, result.stdout


def test_a_run_says_what_it_will_do_does_it_and_sums_up(run):
    folder, said = run
    at = [
        said.index(text)
        for text in (
            "loss = ",
            "one step",
            "no scoring pass",
            "whole run",
            "optimizer state",
            "activations",
            "micro-batches",
            "step 0, held-out",
            "step 2/2",
            "cost",
        )
    ]
    assert at == sorted(at)
    assert f"model    {folder / 'final'}" in said
    assert f"report   {folder / 'report.html'}" in said
    for name in (
        "recipe.yaml",
        "metrics.jsonl",
        "eval.jsonl",
        "samples.jsonl",
        "report.html",
        "final/config.json",
    ):
        assert (folder / name).is_file(), name


def test_a_finished_run_has_nothing_left_to_resume(run):
    folder, _ = run
    before = (folder / "metrics.jsonl").read_bytes()
    result = call("train", "--resume", "--out", str(folder))
    assert result.exit_code == 3, result.output
    assert "Nothing left to do" in result.stdout
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_a_run_is_not_overwritten_nor_resumed_with_another_recipe(run):
    folder, _ = run
    assert "already holds a run" in refused("train", *TINY, "--out", str(folder))
    said = refused("train", *TINY, "learning_rate=1e-2", "--resume", "--out", str(folder))
    assert "`learning_rate` was 1e-06, now 0.01" in said


def test_a_run_is_evaluated_as_json_and_as_tables(run):
    folder, _ = run
    words = ("eval", str(folder), "--task", "maze", "task.sizes=5", "--k", "1,2", "--problems", "3")
    line = json.loads(call(*words, "--json").stdout)
    assert (line["problems"], line["samples"]) == (3, 2)
    assert set(line["pass@2"]) == {"value", "low", "high"}
    shown = call(*words).stdout
    assert "worst@k" in shown
    assert "3 held-out problems of maze, 2 samples each" in shown
    assert "`--engine none`" in refused(*words, "--engine", "none")


def test_a_dry_run_judges_an_oracle_and_an_answer_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("train", *TINY, "--dry-run")
    assert result.exit_code == 0, result.output
    said = result.stdout
    assert said.index("no scoring pass") < said.index("1 an update, each of at most 8,192 tokens")
    assert (
        said.index("8,192")
        < said.index("its oracle")
        < said.index("reward 1 (ok)")
        < said.index("one sampled answer")
    )
    assert "one batch: 8 rollouts of 2 problems, " in said
    assert "cut off by `max_completion_length`" in said
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tries_every_phase_and_moves_no_weight(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.optim.AdamW.step", lambda *_: pytest.fail("it trained"))
    (tmp_path / "r.yaml").write_text("task: maze\nphases: [{method: sft}, {method: grpo, epsilon: 0.1}]\n")
    result = call("train", "r.yaml", *TINY, "--dry-run")
    assert result.exit_code == 0, result.output
    said = result.stdout
    assert said.index("one batch: 2 demonstrations of 2 problems") < said.index(
        "phase 2, tried with the model"
    )
    assert (
        said.index("one demonstration")
        < said.index("one batch: 8 rollouts")
        < said.index("one sampled answer")
    )
    assert said.count("reward 1 (ok)") >= 3  # both oracles, and the demonstration, which is one
    assert "note: `epsilon` does nothing here" in said
    assert [path.name for path in tmp_path.iterdir()] == ["r.yaml"]


def test_a_dry_run_ahead_ends_its_thread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("train", *TINY, "one_step_off=true", "correction=importance", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "one batch: 8 rollouts" in result.stdout


def test_sft_trains_on_demonstrations(tmp_path):
    result = call(
        "sft", "demo", *TINY, "method=sft", "steps=1", "--out", str(tmp_path / "sft"), "--no-report"
    )
    assert result.exit_code == 0, result.output
    assert "demonstrations" in result.stdout
    assert not (tmp_path / "sft" / "report.html").exists()


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "Interrupted"),
        (signal.SIGTERM, 143, "Stopped by SIGTERM"),
        (signal.SIGHUP, 129, "Stopped by SIGHUP"),
    ],
)
def test_a_stopped_run_says_how_to_go_on(number, code, said, tmp_path, monkeypatch):
    def interrupted(phases, folder, progress, resume):
        at = folder / "checkpoints" / "000007"
        at.mkdir(parents=True)
        (at / "trainer.json").touch()
        (folder / "recipe.yaml").touch()
        raise Interrupted(number, at_once=False)

    monkeypatch.setattr("hone.training.run.execute", interrupted)
    result = call("train", *TINY, "--out", str(tmp_path / "run"))
    assert result.exit_code == code
    assert f"{said}. Resume from step 7" in result.stderr
    assert "Traceback" not in result.output


def test_bad_data_and_models_are_named(tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "1+1", "answer": "2"}\n{"prompt": \n')
    assert "line 2" in refused("train", "demo", f"task=jsonl:{bad}", "model=micro:new")
    assert "gone.jsonl" in refused(
        "train", "demo", f"task=jsonl:{tmp_path / 'gone.jsonl'}", "model=micro:new"
    )
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    assert "has no tokenizer" in refused(
        "train", "demo", *TINY[1:], f"model={model}", "--out", str(tmp_path / "x")
    )
    assert not (tmp_path / "x").exists()
    assert "has no tokenizer" in refused("eval", str(model), "--task", "maze")


def test_the_exit_codes_are_in_the_help():
    said = " ".join(call("train", "--help").output.split())
    assert "0 done, 1 a fault of hone itself, 2 an error, 3 nothing left to resume" in said
    assert "129, 130 or 143 stopped by SIGHUP, Ctrl-C or SIGTERM" in said
