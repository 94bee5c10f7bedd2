"""The comparison of curricula: its recipes have a meaning, and its figures are those of the runs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("allocation")
    sys.modules.pop("allocation", None)


def test_every_policy_differs_from_the_baseline_in_what_it_is_about(script):
    for method, policies in script.POLICIES.items():
        found = script.recipes(method, 5000, ["num_generations=8"])
        base = found[script.BASELINE].dump()
        for name, recipe in found.items():
            changed = {key for key, value in recipe.dump().items() if value != base[key]}
            assert changed == set(policies[name])
            assert (recipe.num_generations, recipe.max_sampled_tokens) == (8, 5000)


def test_the_signal_of_a_run_by_hand(script):
    lines = [
        {"groups/correct": [1, 4], "groups/judged": [4, 4], "sampled_tokens": 40},
        {"groups/correct": [2, 0], "groups/judged": [4, 0], "sampled_tokens": 100},
    ]
    assert script.signal_of(lines) == {
        "signal per 1000 tokens": pytest.approx(1000 * (3 / 4 + 1) / 100),
        "groups with signal": pytest.approx(2 / 3),
        "steps": 2,
    }


def test_differences_are_paired_by_seed(script):
    zero = {"groups with signal": 0.0, "steps": 1, "pass@1": 0.0}
    signals = {("uniform", 0): 1.0, ("uniform", 1): 5.0, ("early_stop", 1): 6.0, ("early_stop", 0): 2.0}
    rows = [
        {"policy": policy, "seed": seed, "signal per 1000 tokens": value, **zero}
        for (policy, seed), value in signals.items()
    ]
    found = {(r["policy"], r["metric"]): r for r in script.summary(rows)}
    row = found["early_stop", "signal per 1000 tokens"]
    assert (row["mean"], row["less_baseline"], row["low"], row["high"]) == (4.0, 1.0, 1.0, 1.0)
    assert "low" not in found["uniform", "pass@1"]
