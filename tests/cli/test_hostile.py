"""Commands whose models, data, files and rewards are hostile: nothing that they print drives a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hone.cli import main, terminal
from hone.policies.token_policy import TokenPolicy
from report.hostile import PAYLOADS, write_hostile_run

# Everything but tab and newline that a terminal acts on, or that reorders what surrounds it.
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\U000e0000-\U000e007f]"
)
NAME = "\x1b]0;owned\x07\x9b2J\u202ename [red]x[bold]"
MODEL = ("model=micro:new", "num_generations=2", "problems_per_step=2", "steps=1", "max_completion_length=4",
         "eval.problems=1", "eval.samples=1", "eval.k=[1]")  # fmt: skip


def call(*words: str, code: int = 0) -> str:
    """The whole output of a command, which has nothing in it that drives a terminal."""
    result = CliRunner().invoke(main.app, [str(w) for w in words], env={"COLUMNS": "100"})
    assert result.exit_code == code, result.output
    for stream in (result.stdout, result.stderr):
        assert not FORBIDDEN.search(stream), FORBIDDEN.findall(stream)
    return " ".join((result.stdout + result.stderr).split())


@pytest.fixture
def folder(tmp_path) -> Path:
    found = tmp_path / NAME
    found.mkdir()
    return found


@pytest.fixture
def data(folder) -> Path:
    """Problems whose prompts, answers, oracles and columns are hostile."""
    path = folder / "data.jsonl"
    texts = [text for name, text in PAYLOADS.items() if name not in ("surrogate", "word", "marks")]
    rows = [
        {"prompt": f"{text} {i}", "answer": text, "oracle": text, NAME: text}
        for i in range(4)
        for text in texts
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def hostile_model(monkeypatch):
    """A model that answers with every payload."""
    monkeypatch.setattr(TokenPolicy, "decode", lambda self, tokens, stop=(): "".join(PAYLOADS.values()))


def test_problems_are_shown_as_text(data):
    said = call("tasks", f"jsonl:{data}", "bad_rows=skip")
    assert "owned" in said
    (data.parent / "markup.jsonl").write_text('{"prompt": "[red]a[/red] [/] :skull:", "answer": "x"}\n')
    said = call("tasks", f"jsonl:{data.parent / 'markup.jsonl'}", f"test_path={data}")
    assert "[red]a[/red] [/] :skull:" in said


def test_bad_rows_are_listed_as_text(folder):
    path = folder / "bad.jsonl"
    path.write_text(
        json.dumps({NAME: 1, "prompt": "x"}) + "\n" + '{"prompt": "\\u001b[2J", "answer": null}\n'
    )
    said = call("tasks", f"jsonl:{path}", code=2)
    assert "missing answer" in said
    assert "task.bad_rows=skip" in said


def test_a_dry_run_shows_what_the_model_says_as_text(data, hostile_model):
    said = call("train", "demo", f"task=jsonl:{data}", *MODEL, "--dry-run")
    assert "[red]red[/red]" in said
    assert "Dry run" in said


def test_a_run_an_evaluation_and_a_report(data, hostile_model):
    out = data.parent / "run"
    said = call("train", "demo", f"task=jsonl:{data}", "task.verifier=exact", *MODEL, "--out", str(out))
    assert "held-out problems" in said
    assert (
        FORBIDDEN.search((out / "samples.jsonl").read_text(encoding="utf-8")) is not None
    )  # kept as it was said
    call("report", str(out))
    line = call("eval", str(out), "--task", f"jsonl:{data}", "--k", "1", "--problems", "1", "--json")
    assert json.loads(line)["model"] == str(out)
    call("eval", str(out), "--task", f"jsonl:{data}", "--k", "1", "--problems", "1")
    call("train", "--resume", "--out", str(out), code=3)


def test_a_reward_that_quotes_the_completion_in_its_error(data, hostile_model):
    reward = data.parent / "reward.py"
    reward.write_text("def score(text, answer):\n    raise ValueError(text)\n")
    words = (f"task=jsonl:{data}", f"reward={reward}:score", *MODEL)
    said = call("train", "demo", *words, "eval.before=false", "--out", str(data.parent / "run"), code=2)
    assert "verdicts of this step are errors" in said
    assert "max_error_share" in said.split("ValueError")[-1]  # the mend is there, after all that was quoted


@pytest.mark.parametrize(
    "words",
    [
        ("train", f"{NAME}.yaml"),
        ("train", "demo", f"method={NAME}"),
        ("train", "demo", f"{NAME}=1"),
        ("train", "demo", f"task={NAME}"),
        ("train", "demo", f"model={NAME}"),
        ("train", "demo", f"reward={NAME}.py:{NAME}"),
        ("methods", NAME),
        ("recipes", NAME),
        ("tasks", f"rg:{NAME}"),
        ("report", NAME),
        ("eval", NAME, "--task", "maze"),
        ("train", "--resume", "--out", NAME),
        ("compare", "demo", "--methods", f"rloo,{NAME}", "--seeds", "1"),
    ],
    ids=lambda words: words[0],
)
def test_errors_quote_hostile_names_as_text(words):
    assert "error:" in call(*words, code=2)


def test_hostile_files_are_named_as_text(folder):
    recipe = folder / "recipe.yaml"
    recipe.write_text('task: "\\e]0;owned\\a"\n"\\e[2J": 3\n')
    call("train", str(recipe), code=2)
    run = write_hostile_run(folder / "run")
    (run / "metrics.jsonl").write_text(f"{NAME}\n{{}}\n")
    assert "line 1 is not JSON" in call("report", str(run), code=2)


def test_a_traceback_is_shown_as_text(monkeypatch, capsys):
    def broken() -> None:
        raise ValueError(NAME + " and the rest")

    monkeypatch.setattr(main, "app", broken)
    with pytest.raises(SystemExit) as caught:
        main.run()
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert not FORBIDDEN.search(said)
    assert "ValueError" in said
    assert "and the rest" in said


def test_pictures_in_words_stay_words(capsys):
    terminal.console().print(terminal.safe(":skull: [link=x]y[/link] \\["))
    assert capsys.readouterr().out == ":skull: [link=x]y[/link] \\[\n"
