"""SRT on a real embedded task: the shipped model in mazes, beside training with labels and with a fixed teacher.

A first look at 50 steps of seeds 0 to 2 left most claims undecided: runs are three times as long here, on eight fresh
seeds, and where accuracy is highest is decided by problems that are not reported.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hone.lab.claims import Claim
from hone.studies.harness import Cell, Result, Results, Study, device

SEEDS = range(3, 11)
STEPS, EVERY = 150, 10
LABELLED = 10  # of the 50 evaluated problems: they say where accuracy is highest, the others are reported
PATIENCE = 2
EASY = {"name": "base_votes", "pool": 192, "samples": 16}
ARMS: dict[str, dict[str, Any]] = {
    "srt": {"method": "srt"},
    "labels": {"method": "rloo"},
    "fixed": {"method": "srt", "rewards": ["fixed_majority"], "curriculum": EASY},
    "maxrl": {"method": "srt", "credit": "maxrl", "kl": "none"},
}

PEAK = "where the labelled split is highest"
CLAIMS = (
    Claim("rises", "Without labels accuracy first rises.", f"pass@1 {PEAK} less that before", ">", 0.0),
    Claim("falls", "Then it falls.", f"last pass@1 less that {PEAK}", "<", 0.0),
    Claim(
        "majority_grows", "Meanwhile the majority only grows.",
        "mean majority share of the last 10 steps less that of the first 10", ">", 0.05,
    ),
    Claim("labels_better", "Labels end higher.", "last pass@1 with labels less without", ">", 0.0),
    Claim("fixed_stays", "A fixed teacher ends higher than the vote.", "last pass@1, fixed less vote", ">", 0.0),
    Claim(
        "early_stop", "A small labelled split stops it before it falls.",
        f"pass@1 of the other problems at the best evaluation before {PATIENCE} worse ones, less the last", ">", 0.0,
    ),
    Claim("maxrl_lower", "MaxRL's normalisation ends lower than RLOO.", "last pass@1, MaxRL less RLOO", "<", 0.0),
)  # fmt: skip


def cells(short: bool) -> list[Cell]:
    """Every arm with every seed."""
    settings = (
        {"steps": 2, "every": 1, "problems": 20}
        if short
        else {"steps": STEPS, "every": EVERY, "problems": 50}
    )
    arms = ("srt", "fixed") if short else tuple(ARMS)
    return [Cell(arm, seed, settings) for seed in (SEEDS[:1] if short else SEEDS) for arm in arms]


def run(cell: Cell) -> Result:
    """Train one arm; the pass rate of every evaluated problem at each evaluation, and what the votes said."""
    import hone

    settings = cell.settings
    recipe = {
        "task": {"name": "maze", "sizes": 7},
        "model": "sprout",
        "num_generations": 16,
        "problems_per_step": 8,
        "steps": settings["steps"],
        "max_completion_length": 24,
        "learning_rate": 2e-4,
        "seed": cell.seed,
        "device": device(),
        "eval": {"every": settings["every"], "problems": settings["problems"], "samples": 8, "k": [1, 8]},
        **ARMS[cell.name],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        done = hone.train(recipe, out=Path(folder) / "run")
        evaluations, steps = done.evals(), done.metrics()
    names = ("srt/majority_frequency", "srt/accuracy", "srt/mode_share", "srt/information", "pass_rate")
    return {
        "steps": [line["step"] for line in evaluations],
        "rates": [line["rates"] for line in evaluations],
        "maj@8": [line["maj@8"]["value"] for line in evaluations],
        "readings": {
            name.removeprefix("srt/"): [round(line[name], 4) for line in steps]
            for name in names
            if name in steps[0]
        },
    }


def _rates(result: Result) -> np.ndarray:
    """Pass rates [evaluations, problems] of the problems that no decision looks at."""
    return np.asarray(result["rates"], dtype=float)[:, LABELLED:]


def _labelled(result: Result) -> np.ndarray:
    """Mean pass rates [evaluations] of the problems that decide."""
    return np.asarray(result["rates"], dtype=float)[:, :LABELLED].mean(1)


def statistics(results: Results) -> dict[str, np.ndarray]:
    """One value a seed for every claim whose arms have all seeds."""
    whole = {
        arm: [found[seed] for seed in sorted(found)]
        for arm, found in results.items()
        if len(found) == len(SEEDS)
    }
    out: dict[str, list[float]] = {}
    for each in whole.get("srt", ()):
        means = _rates(each).mean(1)
        peak = int(_labelled(each).argmax())
        out.setdefault("rises", []).append(means[peak] - means[0])
        out.setdefault("falls", []).append(means[-1] - means[peak])
        share = each["readings"]["majority_frequency"]
        out.setdefault("majority_grows", []).append(float(np.mean(share[-10:]) - np.mean(share[:10])))
        out.setdefault("early_stop", []).append(means[stopped_at(each)] - means[-1])
    for claim, above in (("labels_better", "labels"), ("fixed_stays", "fixed"), ("maxrl_lower", "maxrl")):
        if above in whole and "srt" in whole:
            pairs = zip(whole[above], whole["srt"], strict=True)
            out[claim] = [float(_rates(a)[-1].mean() - _rates(b)[-1].mean()) for a, b in pairs]
    return {claim: np.array(values) for claim, values in out.items()}


def stopped_at(result: Result) -> int:
    """The best evaluation of the labelled split when `PATIENCE` in a row were no better."""
    labelled = _labelled(result)
    best, worse = 0, 0
    for at in range(1, len(labelled)):
        best, worse = (at, 0) if labelled[at] > labelled[best] else (best, worse + 1)
        if worse >= PATIENCE:
            break
    return best


def curves(results: Results) -> list[dict[str, Any]]:
    """True accuracy at the evaluations, and the majority's share at the steps, ten at a time; limits are the seeds'."""
    true = {
        arm: _series(next(iter(found.values()))["steps"], [_rates(each).mean(1) for each in found.values()])
        for arm, found in results.items()
    }
    believed = {}
    for arm, found in results.items():
        shares = [each["readings"].get("majority_frequency") for each in found.values()]
        if all(shares):
            tens = [np.asarray(s)[: len(s) // 10 * 10].reshape(-1, 10).mean(1) for s in shares]
            believed[arm] = _series([10 * i + 5 for i in range(len(tens[0]))], tens)
    return [
        {"title": "SRT in mazes: true accuracy", "x": "step", "y": "pass@1", "series": true},
        {
            "title": "SRT in mazes: pseudo-reward",
            "x": "step",
            "y": "share of the majority",
            "series": believed,
        },
    ]


def _series(x: list[int], rows: list[np.ndarray]) -> dict[str, list[float]]:
    table = np.stack(rows)
    limits = {"y": table.mean(0), "low": table.min(0), "high": table.max(0)}
    return {"x": list(map(float, x)), **{name: values.round(4).tolist() for name, values in limits.items()}}


STUDY = Study(
    id="srt_task",
    method="srt",
    title="SRT in mazes",
    scale="sprout",
    budget=(
        f"mazes of size 7, the shipped model, {STEPS} steps of 8 problems and 16 rollouts (about 120,000 sampled "
        f"tokens a run), 50 held-out problems with 8 samples every {EVERY} steps, {len(SEEDS)} seeds; a run takes "
        "about two minutes of one core"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__,),
    curves=curves,
)
