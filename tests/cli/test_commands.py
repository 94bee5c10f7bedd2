"""Commands that compute nothing, bad input, and what the entry point does with errors."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hone.cli import doctor, main, methods
from hone.methods import cards

COMMANDS = (
    "train",
    "sft",
    "eval",
    "compare",
    "plan",
    "sweep",
    "fit",
    "methods",
    "recipes",
    "tasks",
    "report",
    "replay",
    "bench",
    "doctor",
)
MAZE = ("model=micro:new", "task=maze", "task.sizes=5")
LAZY = """
import sys
from typer.testing import CliRunner
from hone.cli.main import app
helps = (["--help"], ["train", "--help"], ["sweep", "--help"], ["fit", "--help"], ["plan", "--help"])
for words in (*helps, ["methods"], ["methods", "rloo"], ["recipes", "demo"], ["doctor"]):
    result = CliRunner().invoke(app, words)
    assert result.exit_code in ((0, 1) if words == ["doctor"] else (0,)), (words, result.output)
    assert "torch" not in sys.modules, words
"""


def call(*words: str):
    return CliRunner().invoke(main.app, list(words), env={"COLUMNS": "100"})


def refused(*words: str) -> str:
    """The error of a command: one paragraph, no traceback, exit code 2."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.output
    assert "\n\n" not in result.stderr.strip()
    return " ".join(result.stderr.split())


def test_help_lists_every_command_and_each_teaches_by_example():
    shown = call("--help").output
    for command in COMMANDS:
        assert command in shown
        assert f"hone {command}" in call(command, "--help").output.partition("Example")[2]


def test_quick_commands_do_not_import_torch():
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_methods_are_rows_of_cards():
    rows = json.loads(call("methods", "--json").stdout)
    assert [row["id"] for row in rows] == cards.ids()
    assert all(set(row) == {"id", "title", "family", "stages", "status"} for row in rows)
    credit = json.loads(call("methods", "--json", "--stage", "credit").stdout)
    assert {row["id"] for row in credit} == {row["id"] for row in rows if "credit" in row["stages"]}
    assert "There is no stage `credits`. Did you mean `credit`?" in refused("methods", "--stage", "credits")


def test_planned_methods_are_those_without_a_card():
    rows = json.loads(call("methods", "--json", "--planned").stdout)
    ids = [row["id"] for row in rows]
    assert len(set(ids)) == len(ids)
    planned = {row["id"] for row in rows if row["status"] == "planned"}
    assert len(planned) > 100
    assert not planned & set(cards.ids())
    known = min(planned)
    assert known in call("methods", "--planned").stdout
    assert "is planned, not here yet" in refused("methods", known)


def test_a_method_shows_its_resolved_formula():
    shown = call("methods", "rloo").stdout
    assert "mean_{j≠i}" in shown
    assert "reduction: sequence_sum" in shown
    assert json.loads(call("methods", "rloo", "--json").stdout)["formula"].startswith("loss = sequence_sum")
    assert "Did you mean `rloo`?" in refused("methods", "rlo")


@pytest.mark.parametrize("name", cards.ids())
def test_every_card_can_be_shown(name):
    result = call("methods", name)
    assert result.exit_code == 0, result.output
    assert ("loss = " in result.stdout) == cards.load(name).trains


def test_a_method_that_trains_nothing_is_no_method_of_a_recipe():
    assert "It trains nothing" in call("methods", "isocompute").stdout
    for words in (["method=isocompute"], ["method=isocompute", "credit.floor=0.1"]):
        said = refused("train", "demo", *words, "--dry-run")
        assert "`method: isocompute` is no training method" in said
        assert "maxrl" in said


def test_claims_and_notes_are_listed(capsys):
    found = methods.card("rloo") | {
        "notes": ["first [x]"],
        "claims": [{"what": "faster", "holds": True}],
        "trl": "RLOO",
    }
    methods.show_card(found)
    shown = capsys.readouterr().out
    assert "- first [x]" in shown
    assert "- what: faster; holds: True" in shown
    assert "In TRL: RLOO" in shown


def test_recipes_are_listed_and_printed():
    assert "demo" in call("recipes").stdout
    assert call("recipes", "demo").stdout.startswith("#")
    assert "There is no recipe `demoo`. Did you mean `demo`?" in refused("recipes", "demoo")


def test_tasks_are_shown_with_oracles():
    shown = call("tasks", "maze", "sizes=5").stdout
    assert shown.count("problem ") == 3
    assert shown.count("oracle") == 3
    assert "test: " in shown
    assert "`task.size` is not an option of `maze`. Did you mean `sizes`?" in refused(
        "tasks", "maze", "size=5"
    )


def test_the_list_of_tasks_says_what_is_not_available(monkeypatch):
    monkeypatch.setattr("hone.tasks.available", lambda: (["leg_counting"], {"composite": "needs [options]"}))
    shown = call("tasks").stdout
    assert "jsonl:<path>" in shown
    assert "leg_counting" in shown
    assert "rg:composite  needs [options]" in shown


def test_doctor_checks_versions_and_the_embedded_model(tmp_path):
    assert doctor.python().mend == ""
    assert doctor.package("rich>=1").mend == ""
    assert doctor.package("rich>=1000").mend == 'pip install "rich>=1000"'
    assert "not installed" in doctor.package("no-such-distribution>=1").found
    assert "not found" in doctor.embedded_model(tmp_path).found
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "SHA256").write_text("0" * 64 + "  model.safetensors\n")
    assert "not the file that was shipped" in doctor.embedded_model(tmp_path).found
    digest = hashlib.sha256(b"weights").hexdigest()
    (tmp_path / "SHA256").write_text(f"{digest}  model.safetensors\n")
    assert doctor.embedded_model(tmp_path).mend == ""


@pytest.mark.parametrize(
    ("level", "reason", "found", "mend"),
    [
        ("bubblewrap", "", "bubblewrap: ", ""),
        ("landlock", "bubblewrap is not installed", "next level: bubblewrap is not installed; Do this.", ""),
        (
            "limits",
            "a program can open sockets",
            "no `code` above it: a program can open sockets",
            "Do this.",
        ),
        (None, "python does not start", "none: python does not start", "Do this."),
    ],
)
def test_doctor_says_what_the_sandbox_holds(monkeypatch, level, reason, found, mend):
    from hone.isolation.sandbox import probe

    monkeypatch.setattr(probe, "reached", lambda: probe.Reached(level, reason, "Do this." if reason else ""))
    finding = doctor.sandbox()
    assert found in finding.found
    assert finding.mend == mend


def test_doctor_fails_where_something_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "packages", lambda: iter([doctor.Finding("rich", "15.0")]))
    monkeypatch.setattr(doctor, "SPROUT", tmp_path)
    monkeypatch.setattr(doctor, "sandbox", lambda: doctor.Finding("sandbox", "landlock"))
    result = call("doctor")
    assert result.exit_code == 1
    assert "mend: pip install" in result.stdout
    monkeypatch.setattr(doctor, "embedded_model", lambda folder: doctor.Finding("sprout", "4.1 MB"))
    assert call("doctor").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lerning_rate=1e-3"], "`lerning_rate`. Did you mean `learning_rate`?"),
        (["method=rlo"], "`method: rlo` does not exist. Did you mean `rloo`?"),
        (["steps=many"], "`steps` is 'many'"),
        (["eval.problem=3"], "`eval.problem` is not a key. Did you mean `problems`?"),
        (["eval.k=1"], "`eval.k` is 1: it must be a list. Write it as one: `[1]`."),
        (["rewards=majority"], "`rewards` is 'majority': it must be a list. Write it as one: `[majority]`."),
        (["steps"], "`steps` is not an override"),
        (["credit=none"], "every rollout would be reinforced alike"),
    ],
)
def test_a_bad_override_is_refused_before_anything_is_computed(words, said):
    assert said in refused("train", "demo", *words)


def test_a_bad_recipe_is_refused(tmp_path):
    assert "There is no recipe `dem`. Did you mean `demo`?" in refused("train", "dem")
    assert "does not exist" in refused("train", str(tmp_path / "gone.yaml"))
    (tmp_path / "twice.yaml").write_text("task: maze\nsteps: 1\nsteps: 2\n")
    assert "`steps` is given twice" in refused("train", str(tmp_path / "twice.yaml"))
    (tmp_path / "empty.yaml").write_text("model: micro:new\n")
    assert "has no `task`" in refused("train", str(tmp_path / "empty.yaml"))


def test_sft_wants_demonstrations():
    assert "not from demonstrations" in refused("sft", "demo", *MAZE)


def test_a_run_to_resume_must_be_there(tmp_path):
    assert "Name it with `--out`" in refused("train", "--resume")
    assert "holds no recipe.yaml" in refused("train", "--resume", "--out", str(tmp_path))


def test_a_report_wants_run_folders(tmp_path):
    assert "not a run folder" in refused("report", str(tmp_path))


def test_an_interrupted_command_says_so_in_one_line(monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hone.cli.recipes.about", interrupted)
    result = call("recipes")
    assert result.exit_code == 130
    assert result.stderr == "Interrupted.\n"


def test_an_unexpected_exception_keeps_its_traceback(monkeypatch):
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("hone.cli.recipes.about", broken)
    assert isinstance(call("recipes").exception, ZeroDivisionError)
