"""What a checkpoint holds, what is wrong with one, and that one is whole at every moment."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

import hone
from hone.core.errors import CheckpointError
from hone.training import checkpoint, disk, states
from hone.training import resume as resuming
from hone.training.versions import changes, versions
from notes import Notes

TINY = {
    "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 2, "problems_per_step": 2,
    "max_completion_length": 4, "steps": 2, "eval": {"problems": 2, "samples": 1, "k": [1]},
    "checkpoint": {"every": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return hone.train(TINY, out=tmp_path_factory.mktemp("a") / "run")


@pytest.fixture
def folder(run, tmp_path):
    return shutil.copytree(run.path, tmp_path / "run")


def resumed(folder, **keys):
    notes = Notes()
    hone.train(TINY | {"steps": 3} | keys, out=folder, resume=True, progress=notes)
    return notes.texts


def rewrite(path, signed=True, **changed):
    body = json.loads((path / checkpoint.STATE).read_text()) | changed
    if signed:
        body["own_sha256"] = checkpoint._own(body)
    (path / checkpoint.STATE).write_text(json.dumps(body))


def test_it_holds_everything(run):
    state = checkpoint.newest(run.path / "checkpoints").state
    assert state.recipe == run.recipe()
    assert state.versions == versions()
    assert {"hone", "python", "torch", "transformers", "tokenizers", "safetensors", "numpy", "numba"} == set(
        state.versions
    )
    assert state.lengths["metrics.jsonl"] == (run.path / "metrics.jsonl").stat().st_size
    assert state.evaluated == state.step == 2


@pytest.mark.parametrize("harm", ["digit", "torn", "gone", "extra bytes", "empty"])
def test_any_harm_is_found_said_and_passed_over(harm, folder):
    newest = folder / "checkpoints" / "000002"
    state = newest / checkpoint.STATE
    if harm == "digit":
        state.write_text(
            state.read_text().replace('"version": 2', '"version": 3').replace('"updates": ', '"updates": 1')
        )
    elif harm == "torn":
        state.write_text(state.read_text()[:200])
    elif harm == "gone":
        (newest / checkpoint.TENSORS).unlink()
    elif harm == "extra bytes":
        with (newest / "config.json").open("a") as file:
            file.write(" ")
    else:
        state.write_text("")
    notes = resumed(folder)
    assert any("checkpoint 000002 is damaged" in text and "damaged-000002" in text for text in notes)
    assert checkpoint.steps(folder / "checkpoints") == [2, 3]
    assert (folder / "checkpoints" / "damaged-000002").is_dir()


def test_logs_that_lost_lines_lead_to_the_checkpoint_before(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text(lines[0])
    assert any("metrics.jsonl has" in text for text in resumed(folder))
    assert [line["step"] for line in hone.training.run.Run(folder).metrics()] == [1, 2, 3]


def test_a_log_that_was_edited_is_refused(folder):
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(" " + text)
    with pytest.raises(CheckpointError, match="The file was changed"):
        resumed(folder)


def test_other_formats_are_refused_with_a_way_out(folder):
    newest = folder / "checkpoints" / "000002"
    rewrite(newest, signed=False, format=1)
    with pytest.raises(
        CheckpointError, match=r"checkpoint format 1, this hone reads format 2.*`model=.*000002`"
    ):
        resumed(folder)
    rewrite(newest, format=7)
    with pytest.raises(CheckpointError, match="checkpoint format 7"):
        resumed(folder)


def test_other_versions_are_said_by_name(folder, monkeypatch):
    monkeypatch.setattr(resuming, "versions", lambda: {**versions(), "torch": "0.1"})
    (note,) = [text for text in resumed(folder) if "other versions" in text]
    assert f"torch {versions()['torch']} then, 0.1 now" in note
    assert "numpy" not in note
    assert changes({"a": "1"}, {"b": "2"}) == "b none then, 2 now, a 1 then, none now"


def test_an_edited_recipe_is_compared_with_the_one_of_the_checkpoint(folder):
    recipe = (folder / "recipe.yaml").read_text()
    (folder / "recipe.yaml").write_text(
        recipe.replace("max_completion_length: 4", "max_completion_length: 5")
    )
    with pytest.raises(CheckpointError, match="`max_completion_length` was 4, now 5"):
        resumed(folder, max_completion_length=5)


def test_a_run_without_a_checkpoint_begins_anew_and_counts_what_it_lost(folder, run):
    shutil.rmtree(folder / "checkpoints")
    (folder / "summary.json").unlink()
    with pytest.raises(CheckpointError, match="`max_completion_length` was 4, now 5"):
        resumed(folder, max_completion_length=5)
    notes = resumed(folder, steps=2)
    assert any("begins anew" in text for text in notes)
    assert (folder / "final" / "model.safetensors").read_bytes() == (
        run.final / "model.safetensors"
    ).read_bytes()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["redone_rollouts"] == summary["rollouts"]
    tokens = summary["sampled_tokens"] + summary["eval_tokens"]
    assert (summary["redone_tokens"], summary["redone_seconds"] > 0) == (tokens, True)


def test_a_folder_takes_the_place_of_another_and_one_is_whole_at_every_moment(tmp_path, monkeypatch):
    target = tmp_path / "000001"

    def write(text):
        with disk.whole_folder(target) as beside:
            (beside / checkpoint.STATE).write_text(text)

    write("old")
    rename, seen = type(target).rename, []

    def watched(self, to):
        seen.append((disk.standing(target) / checkpoint.STATE).read_text())
        rename(self, to)
        seen.append((disk.standing(target) / checkpoint.STATE).read_text())
        assert checkpoint.steps(tmp_path) == [1]

    monkeypatch.setattr(type(target), "rename", watched)
    write("new")
    assert seen == ["old", "old", "old", "new"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000001"]


def test_what_kills_left_is_swept_and_what_stands_is_not(tmp_path):
    for name in (".000001.new", ".000002.gone", ".000003.old", ".000004.old", "000004"):
        (tmp_path / name).mkdir()
        (tmp_path / name / checkpoint.STATE).touch()
    assert checkpoint.steps(tmp_path) == [3, 4]
    disk.sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".000003.old", "000004"]


def test_a_folder_is_hidden_before_it_is_deleted(tmp_path, monkeypatch):
    (tmp_path / "000001").mkdir()
    seen = []
    monkeypatch.setattr(disk.shutil, "rmtree", lambda path: seen.append(path.name))
    disk.remove(tmp_path / "000001")
    assert seen == [".000001.gone"]


def test_states_of_stages_come_back_with_their_tensors():
    state = {
        "a": {"rates": torch.arange(3.0), "path": [1, {"x": torch.ones(2, dtype=torch.int64)}], "n": None}
    }
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(states.split(state, tensors))
    back = states.joined(json.loads(text), tensors)
    assert torch.equal(back["a"]["rates"], state["a"]["rates"])
    assert torch.equal(back["a"]["path"][1]["x"], state["a"]["path"][1]["x"])
    assert back["a"]["n"] is None
    for wrong in ({1, 2}, "tensor:x", object()):
        with pytest.raises(TypeError, match="only JSON values and tensors"):
            states.split({"a": wrong}, {})
