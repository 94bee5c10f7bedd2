"""RLAD through whole runs: warm start, hierarchical, offline, turns with a frozen model, and what is evaluated."""

from __future__ import annotations

import pytest

import hone
from hone.training.run import Run

PROMPTS = {"abstraction_prompt": "{problem}?", "solution_prompt": "{problem}{abstraction}>"}
EPISODE = {
    **{"name": "abstraction", "abstractions": 2, "bare": 2, "max_abstraction_length": 2},
    **PROMPTS,
    "blind_prompt": "{abstraction}>",
}
BASE = {
    **{
        "task": "strategy",
        "model": "micro:new",
        "max_completion_length": 4,
        "problems_per_step": 2,
        "steps": 1,
    },
    **{
        "num_generations": 6,
        "eval": {"before": False, "problems": 3, "samples": 4, "samples_during": 4, "k": [1]},
    },
}
WARM = {
    "method": "sft",
    "episode": {"name": "abstraction_demonstration", "mix": {"direct": 0.5, "wrong": 0.5}, **PROMPTS},
}
OFFLINE = {
    **{"method": "rlad", "selectors": ["helpful"], "objective": "supervised", "credit": "none", "kl": "none"},
    **{"entropy_coef": 0.0, "margin": -0.5},
}
TURN = {"method": "rlad", "models": {"abstractor": {"model": "phase-2"}}}


def test_phases_from_warm_start_to_a_solver_beside_a_frozen_abstractor(tmp_path):
    phases = [WARM, {**OFFLINE, "episode": EPISODE}, {**TURN, "episode": {**EPISODE, "blind": 1}}]
    run = hone.train({**BASE, "phases": phases}, out=tmp_path)
    warm, offline, online = [Run(tmp_path / f"phase-{n}") for n in (1, 2, 3)]
    assert [line["rollouts"] for line in warm.metrics()] == [3 * 6 * 2]
    assert [line["rollouts"] for line in offline.metrics()] == [2 * (2 + 6)]
    (line,) = online.metrics()
    assert 2 * (2 + 6) <= line["rollouts"] <= 2 * (2 + 6 + 2)  # an empty abstraction is not tried blindly
    assert {"reward/solved", "reward/leak"} <= set(line)
    last = list(run.evals())[-1]["abstractions"]
    assert last["abstractions"] == 2
    assert set(last["success"]) == {"w/o", "avg", "best", "w/o pass@2"}
    assert {(r["abstractions"], r["solutions"]) for r in last["allocation"]} == {
        (m, k) for m in (1, 2) for k in (1, 2, 4)
    }
    assert "oracle" in last["note"]
    assert "abstractions" not in list(warm.evals())[-1]


def test_abstractions_alone_are_learnt_from_in_their_turn(tmp_path):
    keys = {"method": "rlad", "selectors": [{"name": "part", "learn": "abstractions"}], "episode": EPISODE}
    (line,) = hone.train({**BASE, **keys}, out=tmp_path).metrics()
    assert line["updates"] == 1
    assert line["trained_tokens"] < line["scored_tokens"]  # solutions are scored, and not run in the update
    (whole,) = hone.train({**BASE, "method": "rlad", "episode": EPISODE}, out=tmp_path / "whole").metrics()
    assert whole["sampled_tokens"] == line["sampled_tokens"]
    assert whole["trained_tokens"] > line["trained_tokens"]


@pytest.mark.parametrize("credit", ["grpo", "maxrl"])
def test_runs_are_repeated_to_the_bit(credit, tmp_path):
    keys = {**BASE, "method": "rlad", "episode": EPISODE, "credit": credit, "steps": 2}
    first, second = [
        [
            {k: v for k, v in line.items() if not k.startswith("time/")}
            for line in hone.train(keys, out=tmp_path / name).metrics()
        ]
        for name in "ab"
    ]
    assert first == second
