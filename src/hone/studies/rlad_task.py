"""RLAD with the embedded model on the latent-strategy task: an abstraction is the name of a strategy."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hone.evals import t_interval
from hone.lab.claims import Claim
from hone.studies.harness import Cell, Result, Results, Study
from hone.studies.warm_start import warm_start

SEEDS = (0, 1, 2)
LEARNING_RATE = 1e-3
PROMPTS = {"abstraction_prompt": "{problem}?", "solution_prompt": "{problem}{abstraction}>"}
EPISODE: dict[str, Any] = {
    "name": "abstraction", "abstractions": 4, "max_abstraction_length": 2, **PROMPTS,
    "blind_prompt": "{abstraction}>",
}  # fmt: skip
COMMON: Mapping[str, Any] = {
    "task": {"name": "strategy", "strategies": 4, "cues": 8},
    "max_completion_length": 4,
    "problems_per_step": 16,
    "device": "cpu",
    "eval": {"before": False, "problems": 1, "samples": 1, "samples_during": 1, "k": [1]},
}
WARM: Mapping[str, Any] = {  # to write and to follow abstractions
    **COMMON,
    "model": "sprout",
    "method": "sft",
    "episode": {
        "name": "abstraction_demonstration",
        "mix": {"direct": 0.25, "wrong": 0.75},  # every strategy alike: nothing says which one is right
        **PROMPTS,
    },
    "num_generations": 1,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "warmup_steps": 20,
}
PLAIN = {"objective": {"name": "ppo_clip", "epsilon": 0.2, "epsilon_high": 0.5}, "reduction": "sequence_mean"}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"method": "grpo", "num_generations": 14, **PLAIN},
    "rlad": {
        "method": "rlad",
        "num_generations": 14,
        "reduction": "sequence_mean",  # hints are short: a mean over tokens would weigh them by that
        "episode": {**EPISODE, "abstractions": 6, "bare": 2},
    },
    "warm start": {},
    "rlad with maxrl": {
        "method": "rlad",
        "num_generations": 14,
        "credit": "maxrl",
        "reduction": "sequence_mean",
        "episode": {**EPISODE, "abstractions": 6, "bare": 2},
    },
}
CLAIMS = (
    Claim(
        "T4_rlad",
        "After RLAD the average abstraction helps.",
        "pass@1 with abstractions (avg) less pass@1 without, held-out problems",
        ">",
        0.0,
    ),
    Claim(
        "T4_plain",
        "After plain training at the same number of sampled tokens abstractions do not help.",
        "pass@1 with abstractions (avg) less pass@1 without, held-out problems",
        "<",
        0.02,
    ),
    Claim(
        "equal_tokens",
        "At the same number of sampled tokens RLAD with abstractions solves more than plain training without.",
        "avg after RLAD less w/o after plain training, held-out problems",
        ">",
        0.0,
    ),
    Claim(
        "equal_tries",
        "Four tries, one with each abstraction, solve more after RLAD than four plain tries after plain training.",
        "S(4, 1) after RLAD less pass@4 without abstractions after plain training, held-out problems",
        ">",
        0.0,
    ),
)


def cells(short: bool) -> list[Cell]:
    """Every arm with every seed."""
    dials = (
        {"warm_steps": 2, "tokens": 500, "problems": 8, "samples": 8}
        if short
        else {"warm_steps": 100, "tokens": 80_000, "problems": 60, "samples": 8}
    )
    return [Cell(arm, seed, dials) for arm in ARMS for seed in (SEEDS[:1] if short else SEEDS)]


def run(cell: Cell) -> Result:
    """Train an arm from the warm start of its seed until its tokens are spent, and evaluate it with abstractions."""
    import hone

    settings = cell.settings
    model = warm_start({**WARM, "steps": settings["warm_steps"], "seed": cell.seed})
    if cell.name == "warm start":
        return evaluated(model, cell.seed, settings) | {"tokens": 0}
    recipe = {
        **COMMON,
        **ARMS[cell.name],
        "model": str(model),
        "kl": {"name": "loss", "beta": 0.001, "estimator": "k3"},
        "learning_rate": LEARNING_RATE,
        "steps": 10_000,
        "max_sampled_tokens": settings["tokens"],
        "seed": cell.seed,
    }
    with tempfile.TemporaryDirectory() as folder:
        trained = hone.train(recipe, out=Path(folder) / "run")
        lines = list(trained.metrics())
        found = evaluated(trained.final, cell.seed, settings)
    every = max(1, len(lines) // 20)
    return found | {
        "tokens": lines[-1]["sampled_tokens"],
        "steps": len(lines),
        "trace": {
            "tokens": [line["sampled_tokens"] for line in lines[::every]],
            "solved": [line.get("reward/solved", line["pass_rate"]) for line in lines[::every]],
            "leak": [line.get("reward/leak", 0.0) for line in lines[::every]],
        },
    }


def evaluated(model: Path, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Success without, with the average and with the best abstraction of a model on held-out problems."""
    from hone.core.sampling import SamplingParams
    from hone.engines import choose
    from hone.episodes import Abstraction
    from hone.policies.loading import load_policy
    from hone.tasks import make
    from hone.training.abstraction_eval import evaluate_abstractions
    from hone.training.judging import build_judge

    policy = load_policy(str(model), device="cpu")
    engine, _ = choose(policy, "auto")
    named = dict(COMMON["task"])
    task = make(named.pop("name"), **named)
    episode = Abstraction(**{k: v for k, v in EPISODE.items() if k != "name"})
    found = evaluate_abstractions(
        policy, engine, task, build_judge(task, None), SamplingParams(COMMON["max_completion_length"]), episode,
        problems=settings["problems"], samples=settings["samples"], seed=seed,
    ).line  # fmt: skip
    share = {
        f"{row['abstractions']}x{row['solutions']}": row["success"]["value"] for row in found["allocation"]
    }
    return {"success": {k: v["value"] for k, v in found["success"].items()}, "allocation": share}


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """One value a seed for each claim whose arms are there, paired by seed."""

    def value(arm: str, *keys: str) -> np.ndarray:
        return np.array([_at(results[arm][seed], keys) for seed in seeds])

    names = ("plain", "rlad")
    if any(name not in results for name in names):
        return {}
    seeds = sorted(set.intersection(*(set(results[name]) for name in names)))
    without, avg = ("success", "w/o"), ("success", "avg")
    return {
        "T4_rlad": value("rlad", *avg) - value("rlad", *without),
        "T4_plain": value("plain", *avg) - value("plain", *without),
        "equal_tokens": value("rlad", *avg) - value("plain", *without),
        "equal_tries": value("rlad", "allocation", "4x1") - value("plain", "success", "w/o pass@4"),
    }


def _at(result: Result, keys: tuple[str, ...]) -> float:
    found: Any = result
    for key in keys:
        found = found[key]
    return float(found)


def curves(results: Results) -> list[dict[str, Any]]:
    """Success by kind of answer, and how a budget of eight solutions is best spread, for every arm."""

    def over_seeds(arm: str, keys: list[tuple[str, ...]]) -> list[Any]:
        rows = [[_at(each, key) for each in results[arm].values()] for key in keys]
        return [t_interval(row) if len(row) > 1 else (row[0],) * 3 for row in rows]

    def series(arm: str, keys: list[tuple[str, ...]], x: list[float]) -> dict[str, list[float]]:
        found = over_seeds(arm, keys)
        return {
            "x": x,
            "y": [f[0] for f in found],
            "low": [f[1] for f in found],
            "high": [f[2] for f in found],
        }

    kinds: list[tuple[str, ...]] = [("success", name) for name in ("w/o", "avg", "best", "w/o pass@4")]
    shares: list[tuple[str, ...]] = [("allocation", name) for name in ("1x8", "2x4", "4x2")]
    return [
        {
            "title": "Held-out problems: w/o, avg, best of 4 (an oracle's choice), w/o pass@4",
            "x": "1 w/o, 2 avg, 3 best (oracle), 4 w/o pass@4",
            "y": "solved",
            "series": {arm: series(arm, kinds, [1.0, 2.0, 3.0, 4.0]) for arm in results},
        },
        {
            "title": "At least one of 8 solutions right, by the number of abstractions they are spread over",
            "x": "abstractions",
            "y": "S(m, 8/m)",
            "series": {arm: series(arm, shares, [1.0, 2.0, 4.0]) for arm in results},
        },
    ]


STUDY = Study(
    id="rlad_task",
    method="rlad",
    title="RLAD on the latent-strategy task",
    scale="sprout",
    budget="80,000 sampled tokens a run after 100 supervised steps, 60 held-out problems, 3 seeds, 4 arms",
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__,),
    curves=curves,
)
