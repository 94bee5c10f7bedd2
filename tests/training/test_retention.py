"""Which checkpoints stay."""

from __future__ import annotations

import pytest

import hone
from hone.core.errors import RecipeError
from hone.core.recipe import CheckpointSettings
from hone.training import checkpoint
from hone.training.retention import Best, better, kept

TINY = {
    "task": {"name": "maze", "sizes": 5}, "model": "micro:new", "num_generations": 2, "problems_per_step": 2,
    "max_completion_length": 4, "steps": 6,
    "eval": {"problems": 2, "samples": 4, "samples_during": 2, "k": [1, 4], "every": 2},
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "best", "stay"),
    [
        ({}, None, {9, 10}),
        ({"keep_last": 1}, None, {10}),
        ({"keep_last": 1, "keep_every": 4}, None, {4, 8, 10}),
        ({"keep_last": 1}, Best("pass@1", 0.5, 3), {3, 10}),
        ({"keep_last": 20}, None, set(range(11))),
    ],
)
def test_policy(settings, best, stay):
    assert kept(range(11), 10, CheckpointSettings(**settings), best) == stay


def test_later_checkpoints_that_a_run_went_back_behind_crowd_out_none():
    """From a run that resumed at 5 because 10 was damaged: 10 is not the newest of what is good."""
    assert kept([5, 6, 10], 6, CheckpointSettings(keep_last=2), None) == {5, 6}


def test_the_best_is_the_highest_or_with_a_minus_the_lowest():
    line = {"step": 4, "pass@1": {"value": 0.5}, "length": 3.0}
    assert better("pass@1", line, None) == Best("pass@1", 0.5, 4)
    assert better("pass@1", line, Best("pass@1", 0.5, 2)) is None
    assert better("-length", line, Best("-length", 4.0, 2)) == Best("-length", 3.0, 4)
    assert better("-length", line, Best("-length", 2.0, 2)) is None
    assert better("length", line, Best("-length", 2.0, 2)) == Best("length", 3.0, 4)
    assert better("pass@4", line, None) is None


def test_the_best_checkpoint_stays_beside_the_last_and_is_named(tmp_path):
    run = hone.train(TINY, out=tmp_path / "run", checkpoint={"every": 3, "keep_last": 1, "best": "-length"})
    lengths = {line["step"]: line["length"] for line in run.evals()}
    best = min(lengths, key=lambda step: (lengths[step], step))
    assert checkpoint.steps(run.path / "checkpoints") == sorted({best, 6})
    found = checkpoint.newest(run.path / "checkpoints").state
    assert {k: found.best[k] for k in ("metric", "value", "step")} == {
        "metric": "-length",
        "value": lengths[best],
        "step": best,
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"checkpoint": {"best": "pass@2"}}, "Did you mean `pass@1`"),
        ({"checkpoint": {"best": "pass@4"}}, "do not have"),  # evaluations during training have two samples
        ({"checkpoint": {"best": "-lenght"}}, "Did you mean `length`"),
        ({"checkpoint": {"best": "length"}, "eval": {**TINY["eval"], "every": 0}}, r"Set `eval\.every`"),
    ],
)
def test_a_metric_that_evaluations_do_not_have_is_refused_before_the_first_step(keys, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        hone.train(TINY | keys, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_resumption_sweeps_up_what_a_killed_process_was_deleting(tmp_path):
    run = hone.train({**TINY, "steps": 1}, out=tmp_path / "run")
    (run.path / "summary.json").unlink()  # it was killed before its end, with all its checkpoints written
    half = run.path / "checkpoints" / ".000000.gone"
    half.mkdir()
    (half / "model.safetensors").touch()
    hone.train({**TINY, "steps": 1}, out=run.path, resume=True)
    assert not half.exists()
    assert checkpoint.steps(run.path / "checkpoints") == [1]
