"""Run folders and sweeps as files alone, for whatever reads them."""

from __future__ import annotations

import json

import numpy as np
import yaml

from hone.recipes.load import resolve

RECIPE = {"task": "maze", "model": "micro:new", "num_generations": 4, "problems_per_step": 2}
GROUPS = [([0, 2], [4, 4]), ([4, 1], [4, 2]), ([4, 4], [4, 4])]


def write_run(folder, groups=GROUPS, size=None, evals=(), **changed):
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(resolve(RECIPE, changed)[0].dump()))
    (folder / "data.json").write_text(json.dumps({"splits": {"train": size, "test": None}}))
    lines = [
        {
            "step": step, "rollouts": 8 * step, "sampled_tokens": 30 * step, "prompt_tokens": 10 * step,
            "trained_tokens": 40 * step, "time/step": 1800.0, "groups/correct": right, "groups/judged": judged,
        }
        for step, (right, judged) in enumerate(groups, start=1)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "eval.jsonl").write_text("".join(json.dumps(line) + "\n" for line in evals))
    return folder


def evaluation(step, value):
    return {"step": step, "problems": 50, "pass@1": {"value": value, "low": 0.0, "high": 1.0}}


def write_curve(folder, *, high, steps=24, seed=0, **changed):
    """A run whose pass rate rises from 0.2 to near `high`, with 16 problems of 4 rollouts a step."""
    rates = 0.2 + (high - 0.2) * np.arange(steps) / (np.arange(steps) + 4)
    rng = np.random.default_rng([seed, round(1000 * high)])
    groups = [(rng.binomial(4, rate, 16).tolist(), [4] * 16) for rate in rates]
    return write_run(folder, groups, seed=seed, **changed)


def write_sweep(folder, ends):
    """A sweep of two seeds over num_generations, `ends` its cells' final pass rates by their value."""
    rows = []
    for value, high in ends.items():
        for seed in (0, 1):
            cell = f"num_generations={value}"
            path = f"runs/{cell}/seed{seed}"
            write_curve(folder / path, high=high, seed=seed, num_generations=value)
            rows.append({"cell": cell, "seed": seed, "folder": path})
    (folder / "sweep.json").write_text(json.dumps({"runs": rows}))
    return folder
