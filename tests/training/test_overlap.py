"""Training on what another task's evaluation asks is refused, or the training problem is left out."""

from __future__ import annotations

import json

import pytest

from hone.core.errors import DataError
from hone.core.problem import Problem
from hone.tasks import FileTask, Maze, Mixture
from hone.training.overlap import in_both, keep_apart


def test_two_files_are_kept_apart(tmp_path):
    path, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p {i}", "answer": i}) + "\n" for i in range(30)))
    test.write_text('{"prompt": "its own", "answer": 1}\n')
    task = FileTask(str(path), test_path=str(test), bad_rows="skip")
    evaluation = [Problem("P  7", 0, "other"), Problem("new", 0, "other")]
    kept, bad = keep_apart(task, evaluation)
    prompts = [kept.problem(i).prompt for i in range(kept.size())]
    assert "p 7" not in prompts
    assert len(prompts) == task.size() - 1
    assert [(row.unit, row.place, row.reason) for row in bad] == [
        ("line", 8, "the prompt of other, problem 0")
    ]
    with pytest.raises(DataError, match=r"in the evaluation split: .*train.jsonl, line 8"):
        keep_apart(FileTask(str(path), test_path=str(test)), evaluation)
    mixture, bad = keep_apart(Mixture((task, Maze(5))), evaluation)
    assert [part.size() for part in mixture.tasks] == [task.size() - 1, Maze(5).size()]
    assert len(bad) == 1
    assert keep_apart(task, [Problem("new", 0, "other")])[0] is task


def test_a_procedural_task_is_counted():
    maze = Maze(5)
    held_out = [maze.problem(i, "test") for i in range(5)]
    drawn = [maze.problem(i) for i in range(20)]
    assert keep_apart(maze, held_out) == (maze, [])
    assert in_both(drawn, held_out) == 0
    assert in_both([*drawn, held_out[2], Problem(held_out[3].prompt, "other", "t")], held_out) == 2
