"""Every registered method improves a task that takes seconds: say the letter that the prompt names."""

from __future__ import annotations

import json

import pytest

import hone
from hone.methods import cards

# Supervised learning, what learns from decisions in an environment (see test_ricol.py), and what learns without labels,
# whose pass rate is what it believes (see test_votes.py).
ELSEWHERE = ("sft", "ricol", "srt")
SETTINGS = {
    "pope": {"curriculum": {"hard_only": False}},
    "ppo": {"num_iterations": 2},
    "reinforce": {"learning_rate": 2e-3},
    # A letter is a whole thinking here, and what would be answered after it is nothing.
    "mrt": {"num_generations": 16, "problems_per_step": 4, "branches": 1, "force": "#"},
    "rlad": {
        "episode": {
            "name": "abstraction",
            "abstractions": 4,
            "bare": 4,
            "max_abstraction_length": 1,
            "abstraction_prompt": "{problem}?",
            "solution_prompt": "{problem}{abstraction}>",
        }
    },
}


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    path = tmp_path_factory.mktemp("letters") / "letters.jsonl"
    rows = [{"prompt": f"{a}{b}>", "answer": a} for a in "abcd" for b in "efghijklmn"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("method", [m for m in cards.training_ids() if m not in ELSEWHERE])
def test_the_pass_rate_rises_past_a_half(method: str, letters, tmp_path):
    recipe = {
        "task": {"name": f"jsonl:{letters}", "verifier": "exact"},
        "model": "micro:new",
        "method": method,
        "num_generations": 64,
        "problems_per_step": 8,
        "max_completion_length": 1,
        "learning_rate": 4e-3,
        "steps": 60,
        "eval": {"problems": 1, "samples": 1, "k": [1]},
        **SETTINGS.get(method, {}),
    }
    run = hone.train(recipe, out=tmp_path / "run")
    rates = [line["pass_rate"] for line in run.metrics()]
    assert sum(rates[:3]) / 3 < 0.1
    assert max(rates[-10:]) > 0.5
