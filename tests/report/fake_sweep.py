"""A synthetic sweep folder: pass rates that rise with compute, faster for small groups, higher for large ones."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml

SIZES, PROBLEMS, SEEDS, ROLLOUTS = (2, 8), (4, 8), 2, 512


def skill(size: int, rollouts: float) -> float:
    """The true pass rate after some rollouts: it rises at 60 for groups of 2, and to more at 150 for groups of 8."""
    end, middle = (0.5, 60) if size == 2 else (0.9, 150)
    return 0.1 + (end - 0.1) / (1 + (middle / max(rollouts, 1e-9)) ** 2)


def write_cell_run(folder: Path, size: int, problems: int, seed: int) -> Path:
    """The run of one cell and seed."""
    folder.mkdir(parents=True)
    rng = random.Random(f"{size} {problems} {seed}")
    batch = size * problems
    lines = []
    for step in range(1, ROLLOUTS // batch + 1):
        rate = skill(size, (step - 1) * batch)
        correct = [sum(rng.random() < rate for _ in range(size)) for _ in range(problems)]
        lines.append({
            "step": step, "rollouts": step * batch, "sampled_tokens": 9 * step * batch, "flops": 10**6 * step * batch,
            "pass_rate": sum(correct) / batch, "groups/correct": correct, "groups/judged": [size] * problems,
            "time/step": 0.5,
        })  # fmt: skip
    recipe = {
        "task": "maze", "curriculum": {"name": "uniform"}, "num_generations": size, "problems_per_step": problems,
        "learning_rate": 1e-4, "seed": seed, "method": "rloo", "eval": {},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    (folder / "data.json").write_text(json.dumps({"splits": {"train": None}}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "eval.jsonl").write_text("")
    (folder / "summary.json").write_text(json.dumps({"finished": True, "flops": lines[-1]["flops"]}))
    return folder


def cell_name(size: int, problems: int) -> str:
    return f"num_generations={size},problems_per_step={problems}"


def write_sweep(folder: Path) -> Path:
    """Write sweep.json and its runs, and return the folder. Groups of 8 end higher on held-out problems."""
    cells: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    table: list[dict[str, Any]] = []
    for size in SIZES:
        for problems in PROBLEMS:
            name = cell_name(size, problems)
            keys = {"num_generations": size, "problems_per_step": problems}
            cells.append({"name": name, "keys": keys, **keys, "steps": ROLLOUTS // (size * problems),
                          "max_sampled_tokens": None, "learning_rate": 1e-4, "rollouts": ROLLOUTS})  # fmt: skip
            mean = skill(size, ROLLOUTS) - 0.001 * problems
            table.append({"cell": name, "metric": "pass@1", "mean": mean, "low": mean - 0.02, "high": mean + 0.02,
                          "n": SEEDS})  # fmt: skip
            for seed in range(SEEDS):
                run = write_cell_run(folder / "runs" / name / f"seed{seed}", size, problems, seed)
                runs.append({"cell": name, "seed": seed, "folder": str(run.relative_to(folder)),
                             "final": {"pass@1": mean + 0.01 * seed}, "sampled_tokens": 9 * ROLLOUTS,
                             "rollouts": ROLLOUTS, "seconds": 8.0, "stopped": None})  # fmt: skip
    content = {
        "recipe": "demo", "cells": cells, "seeds": list(range(SEEDS)), "unit": "rollouts", "metrics": ["pass@1"],
        "budget": {"unit": "rollouts", "value": ROLLOUTS}, "before": {}, "runs": runs, "table": table,
        "learning_rate": {"rule": "sqrt", "value": 1e-4, "rollouts_of_a_step": 32}, "failures": {},
    }  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(content))
    return folder


def change(folder: Path, **keys: Any) -> dict[str, Any]:
    """Set keys of sweep.json; returns its content from before."""
    path = folder / "sweep.json"
    found: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(found | keys))
    return found
