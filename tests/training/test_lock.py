"""One writer a folder, seen by two processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import hone
from hone.core.errors import CheckpointError
from hone.recipes.load import resolve
from hone.training.arms import Arm, command
from hone.training.lock import FILE, locked

HOLD = """
import sys
from pathlib import Path
from hone.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
RECIPE = {
    "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 2, "problems_per_step": 2,
    "max_completion_length": 4, "eval": {"problems": 2, "samples": 1, "k": [1]}, "steps": 1,
}  # fmt: skip


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `run`."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_told_who_holds_the_folder(holder, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(CheckpointError, match=rf"process {holder.pid} on .*, since \d{{4}}-"), locked(folder):
        pass
    with pytest.raises(CheckpointError, match=f"process {holder.pid}"):
        hone.train(RECIPE, out=folder)
    assert sorted(p.name for p in folder.iterdir()) == [FILE]


def test_the_lock_of_a_process_that_was_killed_is_free(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / FILE).is_file()
    run = hone.train(RECIPE, out=tmp_path / "run")
    assert len(run.metrics()) == 1


def test_a_run_that_is_being_resumed_is_not_touched_by_another(tmp_path):
    run = hone.train(RECIPE, out=tmp_path / "run")
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file() and p.name != FILE}
    with locked(run.path), pytest.raises(CheckpointError, match=f"process {os.getpid()}"):
        hone.train(RECIPE | {"steps": 2}, out=run.path, resume=True)
    assert before == {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file() and p.name != FILE}
    assert len(hone.train(RECIPE | {"steps": 2}, out=run.path, resume=True).metrics()) == 2


def test_a_comparison_holds_its_folder(tmp_path):
    with locked(tmp_path / "compare"), pytest.raises(CheckpointError, match="being written"):
        hone.compare(RECIPE, ["rloo", "reinforce"], 1, tmp_path / "compare")


def test_an_arm_that_outlived_its_comparison_is_not_moved_aside(tmp_path):
    arm = Arm("rloo", 0, resolve(RECIPE)[0], tmp_path / "arms" / "rloo" / "seed0")
    with locked(arm.folder), pytest.raises(CheckpointError, match="being written"):
        command(arm)
    assert arm.folder.is_dir()
    command(arm)
    assert not arm.folder.exists()


def test_a_torn_lock_file_still_names_another_process(tmp_path):
    with locked(tmp_path):
        (tmp_path / FILE).write_text("{")
        with pytest.raises(CheckpointError, match="by another process"), locked(tmp_path):
            pass
