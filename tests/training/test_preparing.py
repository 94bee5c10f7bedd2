"""What is asked of the untrained model before the first step: once, charged, kept, and gone on with after a stop."""

from __future__ import annotations

import json

import pytest

import hone
from hone.cli.dry_run import dry_run
from hone.core.errors import CheckpointError, RewardError
from hone.curricula import Pope
from hone.recipes.load import resolve
from hone.training.preparing import FILE
from hone.training.progress import Quiet
from hone.training.run import Run

TINY = {
    "task": {"name": "maze", "sizes": 7},
    "model": "micro:new",
    "method": "pope",
    "num_generations": 4,
    "problems_per_step": 2,
    "steps": 2,
    "max_completion_length": 6,
    "curriculum": {"problems": 6, "hard_samples": 3, "search_samples": 2},
    "eval": {"problems": 2, "samples": 2, "k": [1], "before": False},
}


class Notes(Quiet):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Run, Notes]:
    notes = Notes()
    return hone.train(TINY, out=tmp_path_factory.mktemp("pope") / "run", progress=notes), notes


def lines(run: Run) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.startswith("time/")} for line in run.metrics()]


def test_the_search_is_said_charged_and_kept(whole: tuple[Run, Notes]):
    run, notes = whole
    stored = json.loads((run.path / FILE).read_text())
    assert stored["rounds"] > 1
    assert any(text.startswith("pope: of 6 problems") for text in notes.texts)
    asked = stored["spent"]["rollouts"]
    assert asked >= 6 * 3
    first = run.metrics()[0]
    assert first["rollouts"] == asked + 8
    assert first["sampled_tokens"] > stored["spent"]["sampled_tokens"] > asked
    assert "time/prepare" in first
    assert "time/prepare" not in run.metrics()[1]
    assert {first[f"pope/{name}_rollouts"] for name in ("guided", "unguided")} == {4}


def test_a_stopped_search_goes_on_to_the_same_run(whole: tuple[Run, Notes], tmp_path, monkeypatch):
    heard = Pope.hear
    calls = []

    def stopping(self, state, task, judge, rollouts):
        calls.append(len(rollouts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return heard(self, state, task, judge, rollouts)

    monkeypatch.setattr(Pope, "hear", stopping)
    with pytest.raises(KeyboardInterrupt):
        hone.train(TINY, out=tmp_path / "run")
    assert json.loads((tmp_path / "run" / FILE).read_text())["rounds"] == 1
    notes = Notes()
    again = hone.train(TINY, out=tmp_path / "run", resume=True, progress=notes)
    assert any("goes on after 1 rounds" in text for text in notes.texts)
    assert lines(again) == lines(whole[0])
    assert (again.path / FILE).read_text() == (whole[0].path / FILE).read_text()


def test_a_run_that_goes_on_later_asks_nothing_again(whole: tuple[Run, Notes], tmp_path, monkeypatch):
    run = hone.train(TINY, out=tmp_path / "run", steps=1)
    monkeypatch.setattr(Pope, "hear", lambda *_: pytest.fail("asked again"))
    assert lines(hone.train(TINY, out=tmp_path / "run", resume=True)) == lines(whole[0])
    assert run.path == tmp_path / "run"


def test_the_file_of_one_run_serves_another(whole: tuple[Run, Notes], tmp_path, monkeypatch):
    monkeypatch.setattr(Pope, "hear", lambda *_: pytest.fail("asked"))
    notes = Notes()
    chosen = {"curriculum.prefixes": str(whole[0].path / FILE)}
    run = hone.train(TINY, out=tmp_path / "run", steps=1, progress=notes, **chosen)
    assert any("with the prefix of the file" in text for text in notes.texts)
    assert run.metrics()[0]["rollouts"] == 8
    assert not (run.path / FILE).exists()


def test_a_damaged_file_is_said(whole: tuple[Run, Notes], tmp_path, monkeypatch):
    heard = Pope.hear
    monkeypatch.setattr(Pope, "hear", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        hone.train(TINY, out=tmp_path / "run")
    monkeypatch.setattr(Pope, "hear", heard)
    (tmp_path / "run" / FILE).write_text("{")
    with pytest.raises(CheckpointError, match="is damaged"):
        hone.train(TINY, out=tmp_path / "run", resume=True)


def test_a_dry_run_says_that_it_does_not_search(monkeypatch):
    monkeypatch.setattr(Pope, "hear", lambda *_: pytest.fail("asked"))
    notes = Notes()
    dry_run(resolve(TINY), notes)
    assert any("before the first step, which a dry run does not do" in text for text in notes.texts)


def test_errors_of_the_judge_stop_the_search(tmp_path):
    def broken(prompts, completions, **_):
        raise ValueError("no answer")

    with pytest.raises(RewardError, match="no answer"):
        hone.train(TINY, out=tmp_path / "run", reward=broken)
