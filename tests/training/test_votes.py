"""Runs without labels: the vote before the first step, early stopping, and training at test time."""

from __future__ import annotations

import json

import pytest

import hone
from hone.core.errors import RecipeError
from hone.core.recipe import Recipe
from hone.training import checkpoint
from hone.training.preparing import FILE
from hone.training.retention import Best

SMALL = {
    "task": {"name": "maze", "sizes": 5}, "model": "sprout", "method": "srt", "num_generations": 4,
    "problems_per_step": 2, "max_completion_length": 8, "steps": 2,
    "eval": {"problems": 2, "samples": 4, "samples_during": 4, "k": [1, 4]},
}  # fmt: skip
VOTED = {
    **SMALL,
    "rewards": ["fixed_majority"],
    "curriculum": {"name": "base_votes", "pool": 6, "samples": 4, "keep": 0.5},
}


def test_the_starting_model_votes_once_and_a_resumed_run_knows_it(tmp_path):
    whole = hone.train(VOTED, out=tmp_path / "whole")
    prepared = json.loads((whole.path / FILE).read_text())
    kept = {index for index, *_ in prepared["votes"]}
    assert (len(prepared["cast"]), len(kept)) == (6, 3)
    shares = {v["index"]: v["frequency"] for v in prepared["cast"]}
    assert min(shares[i] for i in kept) >= max(v for i, v in shares.items() if i not in kept)
    assert all(line["srt/labelled"] == 1 for line in whole.metrics())

    hone.train(VOTED, out=tmp_path / "parts", steps=1)
    (tmp_path / "parts" / FILE).unlink()  # it is written for people; the run has its own
    parts = hone.train(VOTED, out=tmp_path / "parts", resume=True)
    assert not (parts.path / FILE).exists()
    keys = [k for k in whole.metrics()[-1] if not k.startswith(("time/", "flops/", "bytes/"))]
    assert [parts.metrics()[-1][k] for k in keys] == [whole.metrics()[-1][k] for k in keys]


def test_a_run_says_what_its_votes_say(tmp_path):
    run = hone.train(SMALL, out=tmp_path / "run")
    line = run.metrics()[-1]
    assert line["srt/labelled"] == 1
    assert 0 < line["srt/majority_frequency"] <= 1
    assert line["pass_rate"] == pytest.approx(line["srt/pseudo_reward"])  # what it believes
    assert 0 <= line["srt/accuracy"] <= 1  # what is true


def test_patience_ends_a_run_and_the_best_checkpoint_stays(tmp_path):
    keys = {"best": "-truncated", "patience": 2}  # no evaluation beats the first by being cut off less
    run = hone.train(
        {**SMALL, "steps": 8, "max_completion_length": 40}, out=tmp_path / "run", checkpoint=keys,
        eval={**SMALL["eval"], "samples_during": 2, "every": 1, "before": True},
    )  # fmt: skip
    summary = json.loads((run.path / "summary.json").read_text())
    best = summary["best"]["step"]
    assert summary["stopped_early"]
    assert summary["step"] == best + 2 < 8
    assert best in checkpoint.steps(run.path / "checkpoints")
    assert [e["event"] for e in run.events() if e["event"] == "stopped_early"] == ["stopped_early"]
    last = [json.loads(row) for row in (run.path / "samples.jsonl").read_text().splitlines()][-1]
    assert (last["split"], last["step"]) == ("test", summary["step"])  # its last evaluation is a whole one
    assert run.evals()[-1]["samples"] == run.evals()[0]["samples"]
    assert hone.train(
        {**SMALL, "steps": 8, "max_completion_length": 40}, out=tmp_path / "run", checkpoint=keys,
        eval={**SMALL["eval"], "samples_during": 2, "every": 1, "before": True}, resume=True,
    ).metrics() == run.metrics()  # fmt: skip


def test_patience_needs_to_know_what_is_better(tmp_path):
    with pytest.raises(RecipeError, match="nothing says which is better"):
        hone.train(SMALL, out=tmp_path / "run", checkpoint={"patience": 2})


def test_worse_evaluations_are_counted():
    assert Best("pass@1", 0.5, 3) == Best(
        **{"metric": "pass@1", "value": 0.5, "step": 3}
    )  # of older checkpoints
    assert Recipe.model_validate({"task": "maze"}).checkpoint.patience == 0


def test_test_time_training_says_what_it_trains_on(tmp_path):
    run = hone.train(SMALL, out=tmp_path / "run", curriculum="test_time")
    overlap = json.loads((run.path / "data.json").read_text())["overlap"]
    assert overlap["asked_for"]
    assert overlap["in_both"] == overlap["looked_at"] == 2
    assert "maj@4" in run.evals()[-1]
