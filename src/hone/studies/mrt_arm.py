"""MRT on the hidden arm: success after every test, under four ways to credit it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hone.evals import AnswerCurve, success_area
from hone.lab.claims import Claim
from hone.rewards import less_termination
from hone.studies import mrt_arm_world
from hone.studies.harness import Cell, Result, Results, Study
from hone.studies.mrt_arm_world import Policies, Training, World, fresh, prefixes, roll, train

SEEDS = 8
BUDGET = 10
SMALL = 3  # tests: what a small budget is
# With exact answers ten tests are enough for eight arms in any order: the budget is slack. Of 24 arms with answers that
# lie one time in ten they are not, and there is something left to find beyond the budget.
WORLDS = {"slack": World(8, 0.0, 1.0, BUDGET), "tight": World(24, 0.1, 1.5, BUDGET)}
ARMS = {
    "slack": ("outcome", "mrt", "mrt_rl", "length_penalty"),
    "tight": ("outcome", "mrt", "mrt_rl"),
}
TRAINING = {
    "updates": 300,
    "problems": 8,
    "group": 16,
    "learning_rate": 1e-2,
    "hidden": 16,
    "alpha": 1.0,
    "penalty": 0.2,
}
EVALUATED = 1024  # problems, the same for all arms

CLAIMS = (
    Claim(
        "T3 same end",
        "With a slack budget, progress reaches the final success of outcome reward.",
        "slack world: success after at most 10 tests, MRT less outcome-only",
        ">",
        -0.02,
    ),
    Claim(
        "T3 regret",
        "With a slack budget, outcome reward has the higher regret.",
        "slack world: normalised regret over the budget, outcome-only less MRT",
        ">",
        0.01,
    ),
    Claim(
        "T3 penalty helps small",
        "A length penalty lowers regret at small budgets.",
        "slack world: normalised regret over 3 tests, outcome-only less length penalty",
        ">",
        0.01,
    ),
    Claim(
        "T3 penalty hurts large",
        "A length penalty hurts success at large budgets.",
        "slack world: success after at most 10 tests, outcome-only less length penalty",
        ">",
        0.01,
    ),
    Claim(
        "T3 both",
        "MRT improves both: regret at small budgets over outcome-only, success at large ones over the penalty.",
        "slack world: the smaller of the two differences of a seed",
        ">",
        0.0,
    ),
    Claim(
        "T4 solved",
        "Where stopping already succeeds, the expected advantage of continuing is not positive.",
        "tight world, prefixes of mrt_rl with J = 1: mean advantage over the terminate-now baseline, 8 + 8 rollouts",
        "<",
        0.005,
    ),
    Claim(
        "T4 unsolved",
        "Elsewhere it is the success that continuing gains.",
        "the same with J = 0: distance of the mean advantage from the gain that 64 other rollouts show",
        "<",
        0.02,
    ),
    Claim(
        "T5 growth",
        "Beyond the training budget success grows more under MRT than under outcome reward.",
        "tight world: success after 30 tests less success at the end of at most 10, MRT less outcome-only",
        ">",
        0.0,
    ),
    Claim(
        "T5 level",
        "Three times the training budget ends higher under MRT than under outcome reward.",
        "tight world: success after 30 tests, MRT less outcome-only",
        ">",
        0.0,
    ),
)


def cells(short: bool) -> list[Cell]:
    """One cell an arm: its seeds are computed together."""
    dials: dict[str, Any] = {**TRAINING, "evaluated": EVALUATED}
    if short:
        dials |= {"updates": 5, "evaluated": 32}
    return [
        Cell(f"{world}/{method}", 0, {**dials, "world": world, "method": method})
        for world, methods in ARMS.items()
        for method in methods
    ]


def run(cell: Cell) -> Result:
    """Train eight policies and read their curves, without and with budget forcing."""
    dials = dict(cell.settings)
    world, evaluated = WORLDS[dials.pop("world")], dials.pop("evaluated")
    how = Training(**dials)
    policies, spent = train(world, how, SEEDS, torch.Generator().manual_seed(0))
    chance = torch.Generator().manual_seed(1)
    start = fresh(*world.problems((SEEDS, evaluated), chance))
    natural = roll(world, policies, start, world.budget, chance)
    forced = roll(world, policies, start, 3 * world.budget, chance, forced=True)
    out: dict[str, Any] = {
        "natural": _rounded(natural.success.mean(1)),
        "forced": _rounded(forced.success.mean(1)),
        "tests": _rounded(natural.last.tests.mean(1)),
        "training_tests": spent,
    }
    return out | (_termination(world, policies, start, chance) if how.method == "mrt_rl" else {})


def _termination(
    world: World, policies: Policies, start: mrt_arm_world.State, chance: torch.Generator
) -> dict[str, Any]:
    """Mean advantages of continuing from solved and unsolved prefixes, and the gain that other rollouts show."""
    state, _ = prefixes(world, policies, start, chance)
    before = mrt_arm_world.answer_success(world, state)
    problems = before.shape[1]
    ends = []
    for count in (8, 64):
        index = torch.arange(problems).repeat_interleave(count)
        ends.append(roll(world, policies, state.take(index), world.budget, chance).success[..., -1])
    found: dict[str, Any] = {"solved": [], "unsolved": [], "gain": []}
    groups = torch.arange(problems).repeat_interleave(8)
    terminated = torch.arange(16 * problems) >= 8 * problems
    for seed in range(SEEDS):
        rewards = torch.cat([ends[0][seed], before[seed].repeat_interleave(8)])
        earned = less_termination(rewards, groups.repeat(2), terminated)[: 8 * problems].reshape(problems, 8)
        solved = before[seed] > 0
        found["solved"].append(float(earned[solved].mean()))
        found["unsolved"].append(float(earned[~solved].mean()))
        found["gain"].append(float(ends[1][seed].reshape(problems, 64)[~solved].mean()))
    return found


def _rounded(values: torch.Tensor) -> list[Any]:
    return list(np.round(values.double().numpy(), 5).tolist())


def _regret(curves: Any, tests: int) -> np.ndarray:
    """Of each seed, over `tests` tests and the answer, which counts as one."""
    tokens = np.arange(1, np.shape(curves)[1] + 1)
    return np.array([1 - success_area(AnswerCurve(tokens, curve), tests + 1) for curve in curves])


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """A value a seed of every claim whose arms were run."""
    got = {name: {k: np.array(v) for k, v in by_seed[0].items()} for name, by_seed in results.items()}
    out: dict[str, np.ndarray] = {}
    if {f"slack/{m}" for m in ARMS["slack"]} <= set(got):
        outcome, mrt, short = (got[f"slack/{m}"]["natural"] for m in ("outcome", "mrt", "length_penalty"))
        small = _regret(outcome, SMALL) - _regret(mrt, SMALL)
        out["T3 same end"] = mrt[:, -1] - outcome[:, -1]
        out["T3 regret"] = _regret(outcome, BUDGET) - _regret(mrt, BUDGET)
        out["T3 penalty helps small"] = _regret(outcome, SMALL) - _regret(short, SMALL)
        out["T3 penalty hurts large"] = outcome[:, -1] - short[:, -1]
        out["T3 both"] = np.minimum(small, mrt[:, -1] - short[:, -1])
    if "tight/mrt_rl" in got:
        found = got["tight/mrt_rl"]
        out["T4 solved"] = found["solved"]
        out["T4 unsolved"] = np.abs(found["unsolved"] - found["gain"])
    if {"tight/outcome", "tight/mrt"} <= set(got):
        level = got["tight/mrt"]["forced"][:, -1] - got["tight/outcome"]["forced"][:, -1]
        out["T5 level"] = level
        out["T5 growth"] = level - (got["tight/mrt"]["natural"] - got["tight/outcome"]["natural"])[:, -1]
    return out


def curves(results: Results) -> list[dict[str, Any]]:
    """Success and normalised regret against tests, under the budget and to three times beyond it."""
    found = []
    for world, methods in ARMS.items():
        there = [m for m in methods if f"{world}/{m}" in results]
        success, regret = {}, {}
        for method in there:
            result = results[f"{world}/{method}"][0]
            forced = np.array(result["forced"])
            success[method] = _line(np.arange(forced.shape[1]), forced)
            budgets = np.array([1, 2, 3, 5, 7, 10, 15, 20, 25, 30])
            # Under the budget the policy stops as it likes; beyond it, it is made to go on.
            regret[method] = _line(
                budgets,
                np.stack([_regret(result["natural"] if b <= BUDGET else forced, int(b)) for b in budgets], 1),
            )
        arms = WORLDS[world].arms
        found.append(_figure(f"hidden arm of {arms}, made to go on: success", "tests", "success", success))
        found.append(_figure(f"hidden arm of {arms}: regret", "budget, tests", "normalised regret", regret))
    return found


def _figure(title: str, x: str, y: str, series: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "x": x, "y": y, "series": series}


def _line(x: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    """Mean over seeds with two standard errors."""
    mean, half = values.mean(0), 2 * values.std(0, ddof=1) / np.sqrt(len(values))
    lines = {"x": x, "y": mean, "low": mean - half, "high": mean + half}
    return {name: np.round(each, 5).tolist() for name, each in lines.items()}


STUDY = Study(
    id="mrt_arm",
    method="mrt",
    title="Hidden arm: success after every test",
    scale="tabular",
    budget=(
        "a policy of 112 weights; 300 updates of 8 problems x 16 rollouts of at most 10 tests, 8 seeds; mrt_rl draws a "
        "prefix of each problem besides, and half of its rollouts answer at once; curves over 1,024 problems"
    ),
    claims=CLAIMS,
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__, str(Path(mrt_arm_world.__file__))),
    curves=curves,
)
