"""A disk that refuses: training goes on, the last good checkpoint stays, and no line of a log is lost or torn."""

from __future__ import annotations

import errno
import json
import os
import subprocess

import pytest

import hone
from faults.left import untimed
from faults.test_kills import RUN
from hone.core.errors import CheckpointError
from hone.training import checkpoint, disk
from hone.training.folder import RunFolder
from notes import Notes


def full(*_args, **_keys):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return hone.train(RUN, out=tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "full"),
        OSError(errno.EDQUOT, "quota"),
        OSError(errno.EIO, "broken"),
        Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_refused_checkpoint_costs_nothing_but_itself(error, whole, tmp_path, monkeypatch):
    save, written = checkpoint.save_file, []

    def refusing(tensors, path):
        written.append(path.parent.name)
        if written[-1] == ".000002.new":
            path.write_bytes(b"part")
            raise error
        save(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", refusing)
    notes = Notes()
    run = hone.train(RUN, out=tmp_path / "run", progress=notes)
    assert (run.final / "model.safetensors").read_bytes() == (whole.final / "model.safetensors").read_bytes()
    assert [untimed(line) for line in run.metrics()] == [untimed(line) for line in whole.metrics()]
    assert checkpoint.steps(run.path / "checkpoints") == [1, 3]
    assert not list((run.path / "checkpoints").glob(".*"))
    (event,) = run.events()
    assert (event["step"], event["event"]) == (2, "checkpoint_refused")
    (alarm,) = [text for text in notes.texts if text.startswith("ALARM")]
    assert "the last one, of step 1, stays" in alarm


def test_every_refusal_is_an_alarm_and_the_end_says_what_is_not_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "save_file", full)
    notes = Notes()
    with pytest.raises(
        CheckpointError, match=r"last checkpoint .* could not be written; the trained model is in fin"
    ):
        hone.train(RUN, out=tmp_path / "run", progress=notes)
    assert len([text for text in notes.texts if text.startswith("ALARM")]) == RUN["steps"]
    assert (tmp_path / "run" / "final" / "model.safetensors").is_file()


def test_a_final_model_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    run = hone.train(RUN, out=tmp_path / "run", steps=1)
    before = (run.final / "model.safetensors").read_bytes()
    save = hone.training.session.TokenPolicy.save

    def refusing(self, folder, dtype=None):
        if folder.name == ".final.new":
            full()
        save(self, folder, dtype)

    monkeypatch.setattr(hone.training.session.TokenPolicy, "save", refusing)
    with pytest.raises(
        CheckpointError, match=r"the trained model could not be written: No space left.*from step 2"
    ):
        hone.train(RUN, out=tmp_path / "run", steps=2, resume=True)
    assert (run.final / "model.safetensors").read_bytes() == before
    monkeypatch.undo()
    hone.train(RUN, out=tmp_path / "run", steps=2, resume=True)
    assert (run.final / "model.safetensors").read_bytes() != before


def test_another_error_is_no_full_disk(tmp_path, monkeypatch):
    def wrong(tensors, path):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(checkpoint, "save_file", wrong)
    with pytest.raises(PermissionError):
        hone.train(RUN, out=tmp_path / "run")


def test_lines_that_a_log_refuses_wait_and_keep_their_order(tmp_path, monkeypatch):
    heard, folder = [], RunFolder(tmp_path)
    folder.hear = heard.append
    write = os.write
    folder.append("metrics.jsonl", [{"step": 1}])

    def part(handle, data):
        if len(data) > 4:
            return write(handle, bytes(data)[:4])  # a part fits, and then nothing does
        return full()

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", part)
        folder.append("metrics.jsonl", [{"step": 2, "long": "long"}])
        folder.append("metrics.jsonl", [{"step": 3, "long": "long"}])
        assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'
        with pytest.raises(OSError, match="No space"):
            folder.flush()  # what a checkpoint would count is not there
    assert [line["step"] for line in folder.read("metrics.jsonl")] == [1]
    folder.append("metrics.jsonl", [{"step": 4}])
    assert [line["step"] for line in folder.read("metrics.jsonl")] == [1, 2, 3, 4]
    assert len(heard) == 2
    assert "wait in memory" in heard[0]


def test_what_a_failed_write_left_is_cut_before_the_next(tmp_path):
    path = tmp_path / "a.jsonl"
    at = disk.extend(path, b"one\n", None)
    with path.open("ab") as file:
        file.write(b"tw")  # as if cutting it back had failed as well
    assert disk.extend(path, b"three\n", at) == len(b"one\nthree\n")
    assert path.read_bytes() == b"one\nthree\n"


def test_a_run_on_a_disk_that_is_full_for_a_while(whole, tmp_path, monkeypatch):
    """No checkpoint counts lines that are not there: those of step 2 wait, so only steps 1 and 3 have one."""
    write = os.write

    def refusing(handle, data):
        if (
            b'"updates_skipped"' in bytes(data)
            and bytes(data).startswith(b'{"step": 2')
            and bytes(data).count(b"\n") == 1
        ):
            full()
        return write(handle, data)

    monkeypatch.setattr(os, "write", refusing)
    run = hone.train(RUN, out=tmp_path / "run")
    assert [untimed(line) for line in run.metrics()] == [untimed(line) for line in whole.metrics()]
    assert 2 not in checkpoint.steps(run.path / "checkpoints")


def test_a_real_small_disk(tmp_path):
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(place)]  # room for one checkpoint
    made = subprocess.run(mount, capture_output=True, timeout=30)
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        notes = Notes()
        with pytest.raises(CheckpointError, match="could not be written"):
            hone.train(RUN, out=place / "run", progress=notes)
        assert any(text.startswith("ALARM") for text in notes.texts)
        folder = RunFolder(place / "run")
        assert (
            checkpoint.newest(folder.checkpoints).state.step == checkpoint.steps(folder.checkpoints)[-1] == 1
        )
        for name in ("metrics.jsonl", "eval.jsonl", "samples.jsonl"):
            text = (place / "run" / name).read_text()
            assert text.endswith("\n")
            assert all(json.loads(line) for line in text.splitlines())
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=30)
