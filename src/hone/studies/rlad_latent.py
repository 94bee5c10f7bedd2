"""RLAD on the latent-strategy world: masking, what abstractions are worth, leaks, and how to spend a budget.

The dials were chosen on worlds 1000 to 1007; the claims are decided on worlds 0 to 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hone.credit import Grpo, Maxrl
from hone.evals import allocation_success, t_interval
from hone.lab.claims import Claim
from hone.studies.harness import Cell, Result, Results, Study
from hone.studies.rlad_latent_world import Arm, Dials, World

SEEDS = 16
READINGS = 20  # of a run
BUDGET = 16  # solutions at test time
GRPO = Grpo()
ARMS: Mapping[str, Arm] = {
    "rlad": Arm(GRPO),
    "rlad with maxrl": Arm(Maxrl()),
    "bare only": Arm(GRPO, abstractions=False),
    "solver, masked": Arm(GRPO, generator=False),
    "solver, not masked": Arm(GRPO, generator=False, masked=False),
    "solver, masked, weak KL": Arm(GRPO, generator=False),
    "leak allowed": Arm(GRPO, leak=True),
    "leak filtered": Arm(GRPO, leak=True, filtered=True),
}
# Masking is about the stage that trains the solver alone: half of its prompts are bare, the abstractions stay.
CHANGED: Mapping[str, Mapping[str, float]] = {
    "solver, masked": {"bare": 16},
    "solver, not masked": {"bare": 16},
    "solver, masked, weak KL": {"bare": 16, "beta": 0.01},
}
CLAIMS = (
    Claim(
        "T1_masked",
        "With masking the solver's dependence on the abstraction does not fall during training.",
        "I(z; y | x) at the end less at the start, in nats, z even over strategies",
        ">",
        -0.02,
    ),
    Claim(
        "T1_not_masked",
        "Without masking it falls.",
        "I(z; y | x) at the end less at the start, in nats, z even over strategies",
        "<",
        -0.02,
    ),
    Claim(
        "T4_rlad",
        "After RLAD the average abstraction helps.",
        "pass rate with abstractions of the trained generator less that without, mean over problems",
        ">",
        0.1,
    ),
    Claim(
        "T4_bare_only",
        "A solver that was trained on bare problems alone does not benefit from abstractions.",
        "pass rate with abstractions of the warm start less that without, mean over problems",
        "<",
        0.02,
    ),
    Claim(
        "T5_leak",
        "Where an abstraction may tell the answer, the generator comes to tell it.",
        "probability that the answer follows from z alone, at the end",
        ">",
        0.5,
    ),
    Claim(
        "T5_filter",
        "With the blind test as a filter it does not.",
        "probability that the answer follows from z alone, at the end",
        "<",
        0.1,
    ),
)


def cells(short: bool) -> list[Cell]:
    """An arm a cell, with all worlds in it."""
    dials: dict[str, Any] = {"steps": 10} if short else {}
    worlds = 8 if short else SEEDS
    return [Cell(name, 0, {"worlds": worlds, **dials, **CHANGED.get(name, {})}) for name in ARMS]


def run(cell: Cell) -> Result:
    """Train every world of an arm; readings are exact, one value a world."""
    dials = replace(Dials(), **{k: v for k, v in cell.settings.items() if k != "worlds"})
    world = World(dials, ARMS[cell.name], list(range(cell.settings["worlds"])))
    every = max(1, dials.steps // READINGS)
    trace: dict[str, list[list[float]]] = {}
    for step in range(dials.steps + 1):
        if step % every == 0 or step == dials.steps:
            for name, values in readings(world).items():
                trace.setdefault(name, []).append([round(float(v), 5) for v in values])
            trace.setdefault("step", []).append([float(step)])
        if step < dials.steps:
            world.step()
    return {"dials": asdict(dials), "trace": trace, "allocation": allocation(world)}


def readings(world: World) -> dict[str, torch.Tensor]:
    """Exact numbers `[S]` of the present policies."""
    with torch.no_grad():
        rates, named = world.rates(), world.abstraction_logprobs().exp()
        told = named[..., -1]
        return {
            "w/o": rates[..., -1].mean(1),
            "avg": (named * rates[..., :-1]).sum(-1).mean(1),
            "best": best_of(named, rates[..., :-1], world.dials.abstractions).mean(1),
            "I(z;y|x)": world.dependence(),
            "from z alone": (told * world.dials.told + (1 - told) * world.dials.guess).mean(1),
        }


def best_of(chances: torch.Tensor, rates: torch.Tensor, draws: int) -> torch.Tensor:
    """The expected highest pass rate of `draws` abstractions: an oracle's choice."""
    ordered, order = rates.sort(-1)
    below = chances.gather(-1, order).cumsum(-1).clamp(max=1) ** draws
    return (ordered * torch.diff(below, dim=-1, prepend=torch.zeros_like(below[..., :1]))).sum(-1)


def allocation(world: World) -> dict[str, list[float]]:
    """S(m, BUDGET/m) of each world by m."""
    with torch.no_grad():
        rates, named = world.rates()[..., :-1].numpy(), world.abstraction_logprobs().exp().numpy()
    shares = [1 << i for i in range(BUDGET.bit_length())]
    return {
        str(m): [round(float(v), 5) for v in allocation_success(rates, m, BUDGET // m, named).mean(-1)]
        for m in shares
    }


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """One value a world for each claim whose arms are there."""

    def trace(arm: str, name: str) -> np.ndarray:
        return np.asarray(results[arm][0]["trace"][name])

    def gained(arm: str) -> np.ndarray:
        read = trace(arm, "I(z;y|x)")
        return read[-1] - read[0]

    def helped(arm: str) -> np.ndarray:
        return trace(arm, "avg")[-1] - trace(arm, "w/o")[-1]

    found = {
        "T1_masked": ("solver, masked", gained),
        "T1_not_masked": ("solver, not masked", gained),
        "T4_rlad": ("rlad", helped),
        "T4_bare_only": ("bare only", helped),
        "T5_leak": ("leak allowed", lambda arm: trace(arm, "from z alone")[-1]),
        "T5_filter": ("leak filtered", lambda arm: trace(arm, "from z alone")[-1]),
    }
    return {claim: of(arm) for claim, (arm, of) in found.items() if arm in results}


def curves(results: Results) -> list[dict[str, Any]]:
    """What is drawn on the page."""

    def series(rows: Any, x: list[float]) -> dict[str, list[float]]:
        limits = [t_interval(row) for row in rows]
        return {
            "x": x,
            "y": [limit.value for limit in limits],
            "low": [limit.low for limit in limits],
            "high": [limit.high for limit in limits],
        }

    def traced(arms: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
        return {
            label: series(
                results[arm][0]["trace"][name], [row[0] for row in results[arm][0]["trace"]["step"]]
            )
            for label, (arm, name) in arms.items()
            if arm in results
        }

    solver = ("solver, masked", "solver, not masked", "solver, masked, weak KL")
    helped = {
        "RLAD, with abstractions": ("rlad", "avg"),
        "RLAD, best of 4 (an oracle's choice)": ("rlad", "best"),
        "RLAD, without": ("rlad", "w/o"),
        "bare only, with abstractions": ("bare only", "avg"),
        "bare only, without": ("bare only", "w/o"),
    }
    shares = {
        arm: series(
            list(results[arm][0]["allocation"].values()), [float(m) for m in results[arm][0]["allocation"]]
        )
        for arm in ("rlad", "rlad with maxrl", "bare only")
        if arm in results
    }
    return [
        {
            "title": "Pass rate with and without abstractions",
            "x": "step", "y": "pass rate", "series": traced(helped),
        },
        {
            "title": "How much the solver goes by the abstraction",
            "x": "step", "y": "I(z; y | x), nats", "series": traced({a: (a, "I(z;y|x)") for a in solver}),
        },
        {
            "title": "The answer from the abstraction alone",
            "x": "step", "y": "probability",
            "series": traced({a: (a, "from z alone") for a in ("leak allowed", "leak filtered")}),
        },
        {
            "title": f"At least one of {BUDGET} solutions right, by the number of abstractions they are spread over",
            "x": "abstractions", "y": "S(m, 16/m)", "series": shares,
        },
    ]  # fmt: skip


STUDY = Study(
    id="rlad_latent",
    method="rlad",
    title="RLAD where every expectation is known",
    scale="tabular",
    budget="16 worlds of 12 problems and 4 strategies, 300 steps of 20 solutions a problem (32 if half are bare)",
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, str(Path(__file__).with_name("rlad_latent_world.py"))),
    curves=curves,
)
