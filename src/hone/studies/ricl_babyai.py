"""RICOL on BabyAI in 6x6 rooms, against RWR, REINFORCE and PPO after as many attempts, from one warm start.

The warm start is a micro transformer that plays at random and follows hints (`task: hints`). Of a run's decisions each
reads a prompt of about 40 tokens and samples one. RICOL's reflector is the oracle: it names the first action of a
shortest way, so what is compared is learning with and without a teacher; a frozen copy of the warm start reads hints.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hone.lab.claims import Claim, paired
from hone.studies.harness import Cell, Results, Study, device

SEEDS = 8
STEPS = 190  # of 16 attempts: about 36,000 decisions, or 1.5 million tokens with their prompts
HORIZON = 16
ACTIONS = ["L", "R", "F", "P", "D", "T"]
OTHER_LEVELS = ("pickup", "pick_up_seq_go_to", "open")
TURNS = {"name": "turns", "form": "state"}
ARMS: dict[str, dict[str, Any]] = {
    "ricol": {"method": "ricol", "num_iterations": 2, "reader": "reader"},
    "rwr": {"method": "rwr", "episode": TURNS, "num_iterations": 2},
    "reinforce": {"method": "reinforce", "episode": TURNS},
    "ppo": {"method": "ppo", "episode": TURNS, "num_iterations": 2},
}

HALF, WINDOW = (
    0.5,
    5,
)  # how soon a run learns: when so much of the attempts of so many steps in a row succeeds
PAIRS = [("goto", arm) for arm in ("rwr", "reinforce", "ppo")] + [(level, "ppo") for level in OTHER_LEVELS]
NAMES = {"rwr": "RWR", "reinforce": "REINFORCE", "ppo": "PPO"}

CLAIMS = (
    *(
        Claim(
            f"{level}_{arm}",
            f"{level}: RICOL ends higher than {NAMES[arm]} after as many attempts.",
            f"pass@1 after training, RICOL less {NAMES[arm]}",
            ">",
            0.05,
        )
        for level, arm in PAIRS
    ),
    *(
        Claim(
            f"{level}_{arm}_sooner",
            f"{level}: RICOL needs less than half the decisions of {NAMES[arm]} until half its attempts succeed.",
            f"log2 of decisions, {NAMES[arm]} over RICOL; a run that never gets there counts its whole budget",
            ">",
            1.0,
        )
        for level, arm in PAIRS
    ),
    Claim(
        "goto_learns",
        "goto: RICOL ends higher than it began.",
        "pass@1 after training less pass@1 of the warm start",
        ">",
        0.1,
    ),
)


def cells(short: bool) -> list[Cell]:
    """GoTo with all arms, the other levels with RICOL and PPO."""
    arms = [("goto", arm) for arm in ARMS]
    arms += [(level, arm) for level in OTHER_LEVELS for arm in ("ricol", "ppo")]
    if short:
        arms = [("goto", "ricol")]
    settings = {
        "steps": 1 if short else STEPS,
        "warm_steps": 2 if short else 150,
        "problems": 2 if short else 48,
    }
    return [
        Cell(f"{level}_{arm}", seed, {"level": level, "arm": arm, **settings})
        for seed in range(1 if short else SEEDS)
        for level, arm in arms
    ]


def warm_start(level: str, steps: int) -> str:
    """The folder of the model that follows hints in `level`: made once, and kept in the folder of temporary files."""
    import hone

    recipe = {
        "task": {"name": "hints", "environment": "babyai", "settings": {"level": level}},
        "model": "micro:new",
        "method": "sft",
        "num_generations": 1,
        "problems_per_step": 64,
        "steps": steps,
        "max_completion_length": 2,
        "learning_rate": 5e-3,
        "eval": {"problems": 16, "samples": 1, "k": [1], "before": False},
        "device": device(),
    }
    name = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"hone-hints-{name}"
    if not folder.exists():
        with tempfile.TemporaryDirectory() as out:
            hone.train(recipe, out=Path(out) / "run", progress=None)
            try:
                (Path(out) / "run" / "final").rename(folder)
            except OSError:
                if not folder.exists():  # else another process has made the same one
                    raise
    return str(folder)


def run(cell: Cell) -> dict[str, Any]:
    """One training run: pass@1 before and after, and the success of each step's attempts."""
    import hone

    of = cell.settings
    model = warm_start(of["level"], of["warm_steps"])
    recipe = {
        "task": {
            "name": "environment", "environment": "babyai",
            "settings": {"level": of["level"], "horizon": HORIZON},
        },
        "model": model,
        "actions": ACTIONS,
        "num_generations": 2,
        "problems_per_step": 8,
        "minibatches": 4,
        "steps": of["steps"],
        "max_completion_length": 1,
        "learning_rate": 3e-3,
        "seed": cell.seed,
        "eval": {"problems": of["problems"], "samples": 1, "k": [1]},
        "device": device(),
        **ARMS[of["arm"]],
    }  # fmt: skip
    if of["arm"] == "ricol":
        recipe["models"] = {"reader": {"model": model}}
    with tempfile.TemporaryDirectory() as out:
        made = hone.train(recipe, out=Path(out) / "run", progress=None)
        lines, evals = made.metrics(), made.evals()
    return {
        "before": evals[0]["pass@1"]["value"],
        "after": evals[-1]["pass@1"]["value"],
        "decisions": [line["sampled_tokens"] for line in lines],
        "success": [line["pass_rate"] for line in lines],
    }


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """Paired by seed: problems, noise and warm start are the same in all arms."""

    def of(name: str, value: Callable[[Mapping[str, Any]], float]) -> dict[int, float]:
        return {seed: value(r) for seed, r in results.get(name, {}).items()}

    def after(r: Mapping[str, Any]) -> float:
        return float(r["after"])

    def log_decisions(r: Mapping[str, Any]) -> float:
        rates = np.convolve(r["success"], np.full(WINDOW, 1 / WINDOW), "valid")
        there = np.flatnonzero(rates >= HALF)
        return float(np.log2(r["decisions"][there[0] + WINDOW - 1 if len(there) else -1]))

    compared = {
        "goto_learns": (of("goto_ricol", after), of("goto_ricol", lambda r: float(r["before"]))),
    }
    for level, arm in PAIRS:
        mine, theirs = f"{level}_ricol", f"{level}_{arm}"
        compared[theirs] = of(mine, after), of(theirs, after)
        compared[f"{theirs}_sooner"] = of(theirs, log_decisions), of(mine, log_decisions)
    both = {name: sorted(set(more) & set(less)) for name, (more, less) in compared.items()}
    return {
        name: np.array([more[seed] - less[seed] for seed in both[name]])
        for name, (more, less) in compared.items()
        if both[name]
    }


def curves(results: Results) -> list[dict[str, Any]]:
    """Success of each step's attempts by decisions so far, a figure a level."""
    out = []
    for level in ("goto", *OTHER_LEVELS):
        series = {}
        for arm in ARMS:
            runs = list(results.get(f"{level}_{arm}", {}).values())
            if len(runs) > 1:
                rates = np.array([r["success"] for r in runs])
                found = [paired(column) for column in rates.T]
                series[arm] = {
                    "x": np.mean([r["decisions"] for r in runs], 0).tolist(),
                    "y": [float(f.value) for f in found],
                    "low": [float(f.low) for f in found],
                    "high": [float(f.high) for f in found],
                }
        if series:
            out.append(
                {"title": f"BabyAI {level}", "x": "decisions", "y": "success of a step", "series": series}
            )
    return out


STUDY = Study(
    id="ricl_babyai",
    method="ricol",
    title="RICOL on BabyAI",
    scale="micro",
    budget=(
        f"{SEEDS} seeds, {STEPS} steps of 16 attempts of at most {HORIZON} decisions: at most 1.5 million tokens with "
        "their prompts, fewer where attempts end early; one learning rate, 3e-3, for all arms (on a seed of its own "
        "PPO ended at .81 with it, at .33 with 1e-3 and .46 with 1e-2; REINFORCE at .33, and .21 with 1e-2)"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__,),
    curves=curves,
)
