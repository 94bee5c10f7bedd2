"""SRT on a shared bias: without labels accuracy rises and then collapses; what stops, prevents and delays that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hone.lab.claims import Claim
from hone.studies import srt_world
from hone.studies.harness import Cell, Result, Results, Study
from hone.studies.srt_world import Dials, rank_correlation, train

SEEDS = 16
PATIENCE = 5  # evaluations, one each `EVERY` readings
EVERY = 2
BACK = 20  # steps before an alarm from which the checkpoint is taken that is kept
IMPROVABLE: Mapping[str, float] = {
    "dullest": 0.9,
    "error": 1.2,
    "bias_rate": 0.5,
    "decay": 0.006,
    "steps": 400,
}

CLAIMS = (
    Claim(
        "T3_pseudo_rises", "Without labels the pseudo-reward rises all the time.",
        "Spearman's correlation with time of the mean probability of the most likely answer", ">", 0.9,
    ),
    Claim("T3_rises", "Accuracy first rises.", "highest accuracy less that of the start", ">", 0.03),
    Claim("T3_falls", "Then it collapses.", "last accuracy over the highest", "<", 0.5),
    Claim(
        "T3_early_stop", "Stopping by 5% of the problems with labels keeps 95% of the peak.",
        f"accuracy at the best labelled evaluation before {PATIENCE} worse ones, over the highest", ">", 0.95,
    ),
    Claim(
        "detectors", "The detectors without labels stop it near its peak.",
        f"accuracy {BACK} steps before the guard's first alarm (the end without one), over the highest", ">", 0.9,
    ),
    Claim("T4_stays", "With fixed labels nothing collapses.", "last accuracy over the highest", ">", 0.9),
    Claim(
        "T4_below", "Where majorities can be improved, fixed labels end below the peak of the vote.",
        "highest accuracy of the vote less the last of fixed labels, with a bias that is not cheap", ">", 0.0,
    ),
    Claim(
        "T4_majority", "There, the accuracy of majorities rises more for the vote than for fixed labels.",
        "highest majority accuracy of the vote less the last of fixed labels", ">", 0.0,
    ),
    Claim(
        "T5_delays", "The third with the clearest majorities delays the collapse 1.5 times.",
        "log2 of the steps to half of the highest accuracy so far (the end if never): third over all", ">",
        float(np.log2(1.5)),
    ),
    Claim(
        "maxrl_sooner", "Under MaxRL's normalisation the collapse comes sooner.",
        "log2 of the steps to half of the highest accuracy so far: MaxRL over RLOO", "<", 0.0,
    ),
)  # fmt: skip


def cells(short: bool) -> list[Cell]:
    """One arm a cell, with all its seeds."""
    dials: dict[str, Any] = {"steps": 60} if short else {}
    seeds = 2 if short else SEEDS
    plain = ["online", "fixed", "easy", "labels", "maxrl"]
    better = {**IMPROVABLE, **dials}
    return [Cell(arm, 0, {"arm": arm, "seeds": seeds, "dials": dials}) for arm in plain] + [
        Cell(f"improvable {arm}", 0, {"arm": arm, "seeds": seeds, "dials": better})
        for arm in ("online", "fixed")
    ]


def run(cell: Cell) -> Result:
    """The readings of one arm, rounded."""
    dials = Dials(**cell.settings["dials"])
    found = train(dials, list(range(cell.settings["seeds"])), cell.settings["arm"])
    rounded = {name: np.round(rows, 4).tolist() for name, rows in found.items()}
    return {"every": dials.every, **rounded}


def _rows(results: Results, arm: str, name: str) -> np.ndarray:
    return np.asarray(results[arm][0][name], dtype=float)


def statistics(results: Results) -> dict[str, np.ndarray]:
    """One value a seed for every claim whose arms are there."""
    out: dict[str, np.ndarray] = {}
    if "online" in results:
        accuracy, every = _rows(results, "online", "accuracy"), results["online"][0]["every"]
        peak = accuracy.max(1)
        out["T3_pseudo_rises"] = rank_correlation(_rows(results, "online", "pseudo_reward"))
        out["T3_rises"] = peak - accuracy[:, 0]
        out["T3_falls"] = accuracy[:, -1] / peak
        stops = [stopped_at(row) for row in _rows(results, "online", "labelled")]
        out["T3_early_stop"] = accuracy[np.arange(len(stops)), stops] / peak
        alarms = [alarmed_at(row, BACK // every) for row in _rows(results, "online", "alarm")]
        out["detectors"] = accuracy[np.arange(len(alarms)), alarms] / peak
        for claim, arm in (("T5_delays", "easy"), ("maxrl_sooner", "maxrl")):
            if arm in results:
                steps = np.array([collapse(row) for row in _rows(results, arm, "accuracy")])
                out[claim] = np.log2(steps / np.array([collapse(row) for row in accuracy]))
    if "fixed" in results:
        fixed = _rows(results, "fixed", "accuracy")
        out["T4_stays"] = fixed[:, -1] / fixed.max(1)
    if {"improvable online", "improvable fixed"} <= set(results):
        for claim, name in (("T4_below", "accuracy"), ("T4_majority", "majority_accuracy")):
            vote, stored = (_rows(results, f"improvable {arm}", name) for arm in ("online", "fixed"))
            out[claim] = vote.max(1) - stored[:, -1]
    return out


def stopped_at(labelled: np.ndarray) -> int:
    """The reading of the best evaluation when `PATIENCE` in a row were no better; evaluations are every `EVERY`."""
    best, worse = 0, 0
    for at in range(EVERY, len(labelled), EVERY):
        if labelled[at] > labelled[best]:
            best, worse = at, 0
        else:
            worse += 1
        if worse >= PATIENCE:
            break
    return best


def alarmed_at(alarm: np.ndarray, back: int) -> int:
    """The reading `back` before the last one without alarm; the last reading if none was raised."""
    return max(0, int(np.argmax(alarm > 0)) - 1 - back) if alarm.any() else len(alarm) - 1


def collapse(accuracy: np.ndarray) -> int:
    """The first reading below half of the highest so far, counted from 1; the last one if there is none."""
    below = accuracy < 0.5 * np.maximum.accumulate(accuracy)
    return int(np.argmax(below)) + 1 if below.any() else len(accuracy)


def curves(results: Results) -> list[dict[str, Any]]:
    """Means over seeds with the standard error: what is true, and what the run believes."""
    titles = {
        "accuracy": "accuracy",
        "pseudo_reward": "pseudo-reward",
        "mode_share": "share of the commonest answer",
    }
    out = []
    for name, words in titles.items():
        series = {}
        for arm in results:
            rows, every = _rows(results, arm, name), results[arm][0]["every"]
            mean = rows.mean(0)
            error = rows.std(0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.zeros_like(mean)
            series[arm] = {
                "x": [i * every for i in range(len(mean))],
                "y": mean.round(4).tolist(),
                "low": (mean - error).round(4).tolist(),
                "high": (mean + error).round(4).tolist(),
            }
        out.append({"title": f"SRT on a shared bias: {words}", "x": "step", "y": words, "series": series})
    return out


STUDY = Study(
    id="srt_bias",
    method="srt",
    title="SRT on a shared bias",
    scale="tabular",
    budget=(
        "400 problems with 10 answers, 20 features and one bias; 64 problems and 16 rollouts a step, 800 steps (400 in "
        "the improvable world), 16 seeds: 13 million answers an arm, about a minute a core"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, srt_world.__file__),
    curves=curves,
)
