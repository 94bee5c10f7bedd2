"""RICL and RICOL on the key-door line: advantages against exact ones, noisy feedback, steps to success.

Everything is a table, and all seeds are run at once. Reflectors: `names` is privileged and says which action is better,
wrongly with a stated probability; `judges` says whether the action taken led to more than the exact value, and knows
nothing else; `learnt` names the action with the larger mean return in the attempts so far. In-context policies: `bonus`
adds 2 nats to what the feedback names, `follow` gives it 95% whatever the policy was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hone.environments import exact
from hone.lab.claims import Claim
from hone.studies import ricl_keydoor_world as world
from hone.studies.harness import Cell, Results, Study
from hone.studies.ricl_keydoor_world import (
    ATTEMPTS,
    ITERATIONS,
    LEVEL,
    LINE,
    LONG,
    MOST_STEPS,
    NOISES,
    compare_advantages,
    noisy,
    steps_to_level,
)

SEEDS = 16
COUNTS = (10, 30, 100, 300, 1000)
ALPHAS = (0.1, 0.25, 0.5, 0.75, 1.0)
RATES = {"reinforce": (1.0, 3.0, 10.0, 30.0), "rwr": (0.1, 0.2, 0.5, 1.0)}

CLAIMS = (
    Claim(
        "T3_beats_mc10",
        "With 10 trajectories a state and a reflector that is wrong 10% of the time, RICL's advantages are closer to "
        "the exact ones than Monte Carlo's with 10.",
        "correlation with the exact advantages, RICL at 10 less Monte Carlo at 10",
        ">",
        0.0,
    ),
    Claim(
        "T3_like_mc300",
        "They are as close as Monte Carlo's with 300.",
        "correlation with the exact advantages, RICL at 10 (10% wrong) less Monte Carlo at 300",
        ">",
        -0.05,
    ),
    Claim(
        "T3_error_beats_mc10",
        "The same by squared error, each after its best scale.",
        "log2 of the error of RICL at 10 (10% wrong) over that of Monte Carlo at 10",
        "<",
        0.0,
    ),
    Claim(
        "T3_error_like_mc300",
        "By squared error it is within a factor of two of Monte Carlo with 300.",
        "log2 of the error of RICL at 10 (10% wrong) over that of Monte Carlo at 300",
        "<",
        1.0,
    ),
    Claim(
        "T3_judges",
        "A reflector that only compares an outcome with the exact value beats Monte Carlo, both at 10.",
        "correlation with the exact advantages, RICL `judges` at 10 less Monte Carlo at 10",
        ">",
        0.0,
    ),
    Claim(
        "T4_improves",
        "With feedback that is right 70% of the time RICOL still improves (`bonus`, alpha 0.5).",
        "mean success over the last ten steps less that of the start",
        ">",
        0.1,
    ),
    Claim(
        "T4_improves_follow",
        "The same where feedback is followed whatever the policy was (`follow`, alpha 0.5).",
        "mean success over the last ten steps less that of the start",
        ">",
        0.1,
    ),
    Claim(
        "T4_alpha",
        "With 30% wrong feedback alpha 1 is worse than alpha 0.5 (`bonus`).",
        "mean success over the last ten steps, alpha 1 less alpha 0.5",
        "<",
        0.0,
    ),
    Claim(
        "T4_alpha_follow",
        "The same with `follow`.",
        "mean success over the last ten steps, alpha 1 less alpha 0.5",
        "<",
        0.0,
    ),
    Claim(
        "T5_rwr",
        f"RICOL (`names`, 10% wrong) reaches {LEVEL:g} success with a fifth of the steps of RWR at its best rate.",
        "log2 of environment steps, RWR over RICOL; a run that never gets there counts its whole budget",
        ">",
        float(np.log2(5)),
    ),
    Claim(
        "T5_reinforce",
        "The same against REINFORCE at its best rate.",
        "log2 of environment steps, REINFORCE over RICOL; as above",
        ">",
        float(np.log2(5)),
    ),
    Claim(
        "T5_learnt",
        "The same against REINFORCE, where the reflector has nothing but the attempts (`learnt`).",
        "log2 of environment steps, REINFORCE over RICOL `learnt`; as above",
        ">",
        float(np.log2(5)),
    ),
)


def cells(short: bool) -> list[Cell]:
    """An arm a cell, with all seeds in it."""
    seeds = 4 if short else SEEDS
    most = 20_000 if short else MOST_STEPS
    counts = COUNTS[:2] if short else COUNTS
    arms: list[tuple[str, dict[str, Any]]] = [("advantages", {"counts": list(counts)})]
    for form in ("bonus", "follow"):
        for alpha in ALPHAS[2:3] + ALPHAS[4:] if short else ALPHAS:
            arms.append((f"noise_{form}_{alpha:g}", {"form": form, "alpha": alpha}))
    arms += [(f"steps_{name}", {"learner": name, "most": most}) for name in ("names", "learnt", *RATES)]
    return [Cell(name, 0, {"seeds": seeds, **settings}) for name, settings in arms]


def run(cell: Cell) -> dict[str, Any]:
    """All seeds of one arm."""
    settings = cell.settings
    if cell.name == "advantages":
        return compare_advantages(settings["seeds"], tuple(settings["counts"]))
    if cell.name.startswith("noise"):
        start, curve = noisy(settings["seeds"], settings["form"], settings["alpha"])
        return {"start": start, "success": curve.mean(0).tolist(), "last": curve[:, -10:].mean(1).tolist()}
    learner, most = settings["learner"], settings["most"]
    rate = None
    if learner in RATES:
        tried = {
            r: steps_to_level(learner, r, settings["seeds"], most, first=1000)[0] for r in RATES[learner]
        }
        rate = min(tried, key=lambda r: (float(np.median(tried[r])), r))
    steps, averaged = steps_to_level(learner, rate, settings["seeds"], most, first=0)
    return {"steps": steps.tolist(), "rate": rate, "curve": averaged}


# T3: advantages of a random policy.


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """One value a seed for each claim whose arms are there."""
    found: dict[str, np.ndarray] = {}
    arms = {name: by_seed[0] for name, by_seed in results.items()}
    if "advantages" in arms:
        r: Any = {k: {m: np.array(v) for m, v in s.items()} for k, s in arms["advantages"].items()}
        noisiest = r[f"ricl_names_{NOISES[-1]:g}"]
        found["T3_beats_mc10"] = noisiest["correlation"] - r["mc_10"]["correlation"]
        found["T3_error_beats_mc10"] = np.log2(noisiest["error"] / r["mc_10"]["error"])
        found["T3_judges"] = r["ricl_judges"]["correlation"] - r["mc_10"]["correlation"]
        if "mc_300" in r:
            found["T3_like_mc300"] = noisiest["correlation"] - r["mc_300"]["correlation"]
            found["T3_error_like_mc300"] = np.log2(noisiest["error"] / r["mc_300"]["error"])
    for form, suffix in (("bonus", ""), ("follow", "_follow")):
        half, whole = arms.get(f"noise_{form}_0.5"), arms.get(f"noise_{form}_1")
        if half and whole:
            found[f"T4_improves{suffix}"] = np.array(half["last"]) - half["start"]
            found[f"T4_alpha{suffix}"] = np.array(whole["last"]) - np.array(half["last"])
    for claim, baseline, mine in (
        ("T5_rwr", "rwr", "names"),
        ("T5_reinforce", "reinforce", "names"),
        ("T5_learnt", "reinforce", "learnt"),
    ):
        if f"steps_{baseline}" in arms and f"steps_{mine}" in arms:
            theirs = np.array(arms[f"steps_{baseline}"]["steps"])
            found[claim] = np.log2(theirs / np.array(arms[f"steps_{mine}"]["steps"]))
    return found


def curves(results: Results) -> list[dict[str, Any]]:
    """Closeness of advantages by trajectories, and success by environment steps."""
    arms = {name: by_seed[0] for name, by_seed in results.items()}
    out = []
    if "advantages" in arms:
        of = arms["advantages"]
        counts = [int(k.removeprefix("mc_")) for k in of if k.startswith("mc_")]
        series = {"Monte Carlo": _line(counts, [of[f"mc_{n}"]["correlation"] for n in counts])}
        for name in [k for k in of if k.startswith("ricl")]:
            series[name.replace("_", " ")] = _line([counts[0]], [of[name]["correlation"]])
        out.append(
            {"title": "Advantages on the key-door line", "x": "trajectories a state",
             "y": "correlation with the exact advantages", "series": series}
        )  # fmt: skip
    runs = {n.removeprefix("steps_"): a["curve"] for n, a in arms.items() if n.startswith("steps_")}
    if runs:
        lines = {n: {"x": c["steps"], "y": c["success"]} for n, c in runs.items()}
        out.append(
            {"title": f"Success on a line of {LONG}", "x": "environment steps",
             "y": "exact success, mean of seeds", "series": lines}
        )  # fmt: skip
    return out


def _line(xs: list[int], rows: list[list[float]]) -> dict[str, list[float]]:
    from hone.lab.claims import paired

    found = [paired(np.array(row)) for row in rows]
    return {
        "x": [float(x) for x in xs],
        "y": [float(f.value) for f in found],
        "low": [float(f.low) for f in found],
        "high": [float(f.high) for f in found],
    }


STUDY = Study(
    id="ricl_keydoor",
    method="ricol",
    title="RICL and RICOL on the key-door line",
    scale="tabular",
    budget=(
        f"{SEEDS} seeds; advantages on a line of {LINE} at 10 to 1000 trajectories a state; {ITERATIONS} steps of "
        f"{ATTEMPTS} attempts with 30% wrong feedback; up to {MOST_STEPS:,} environment steps on a line of {LONG}, "
        f"horizon {4 * LONG}; rates of the baselines chosen on other seeds"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, world.__file__, exact.__file__),
    curves=curves,
)
