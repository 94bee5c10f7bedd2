"""The studies of group size: grids of rollouts and problems, tuned rates, one problem, and less interference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hone import credit
from hone.evals import Interval
from hone.lab.claims import CLAIMS, limits, over_seeds, paired, resamples, verdict
from hone.lab.credit_table import Credit, tabulate
from hone.lab.dials import Dials, rate, seeds_of, worlds
from hone.lab.optima import best_n, cross_tuned, largest_fall, range_over, records, steps_to
from hone.lab.simulate import Cell, Physics, simulate
from hone.lab.world import one_problem

if TYPE_CHECKING:
    from jaxtyping import Float

PIECES: dict[str, Credit] = {"rloo": credit.Rloo(), "grpo": credit.Grpo(), "maxrl": credit.Maxrl()}
WORST_BEST = (4, 8, 16)  # problems of a step over which worst@4 and best@4 are compared
RANGE = (4, 64)  # of rollouts and of problems, where their ranges are compared

Finding = dict[str, Any]
Result = dict[str, Any]  # {"findings": [...], "tables": {...}, "runs": how many}


def finding(claim_id: str, where: str, found: Interval) -> Finding:
    """A claim with what was measured and the verdict."""
    claim = CLAIMS[claim_id]
    numbers = {key: round(float(getattr(found, key)), 4) for key in ("value", "low", "high")}
    test = {"direction": claim.direction, "margin": claim.margin}
    return {"claim": claim_id, "where": where, **numbers, **test, "verdict": verdict(claim, found)}


def grid(dials: Dials, name: str, piece: str) -> Result:
    """n*(C) at a fixed number of problems and with all free; which of n and B_p matters; best@4 and worst@4."""
    made = dials["grid"]
    sizes, problems = made["num_generations"], made["problems_per_step"]
    places = [(i, j) for i, n in enumerate(sizes) for j, b in enumerate(problems) if n * b <= made["most"]]
    cells = [Cell(piece, sizes[i], problems[j], rate(dials, sizes[i], problems[j])) for i, j in places]
    out = simulate(
        worlds(dials, name), cells, {piece: _table(piece, sizes)}, made["budgets"], _physics(dials)
    )
    best: dict[str, np.ndarray] = {}
    for metric in ("pass@1", "best@4", "worst@4"):
        square = np.full((len(sizes), len(problems), *out.useful.shape[1:], len(made["budgets"])), np.nan)
        for (i, j), values in zip(places, records(out.metric(metric))):
            square[i, j] = values
        best[metric] = square
    seeds, middle = dials["seeds"], problems.index(made["fixed_problems"])
    column = best["pass@1"][:, [middle]]
    findings = [
        *_about_n(column, dials, f"{made['fixed_problems']} problems"),
        *_about_n(best["pass@1"], dials, "all free"),
        finding("n_matters_more", "at the last budget", _range_ratio(best["pass@1"][..., -1], dials)),
    ]
    columns = [problems.index(b) for b in WORST_BEST if b in problems]

    def apart(chosen: np.ndarray, first: str, second: str) -> float:
        """Mean over numbers of problems of log2 n*(first) - log2 n*(second), at the last budget."""
        ends = [
            [best_n(best[metric][:, [j]], sizes, chosen)[-1] for j in columns] for metric in (first, second)
        ]
        return float(np.mean(np.subtract(ends[0], ends[1])))

    if name in ("easy", "hard"):
        order, words = (("worst@4", "best@4"), "worst") if name == "easy" else (("best@4", "worst@4"), "best")
        interval = over_seeds(lambda s: apart(s, *order), seeds)
        findings += [
            finding(f"{words}_wants_{how}", "at the last budget", interval) for how in ("no_fewer", "more")
        ]
    everyone = np.arange(seeds)
    tables = {
        "budgets": made["budgets"],
        "num_generations": sizes,
        "n* at fixed problems": _whole(best_n(column, sizes, everyone)),
        "n* all free": _whole(best_n(best["pass@1"], sizes, everyone)),
        "n* of best@4": _whole(best_n(best["best@4"][:, [middle]], sizes, everyone)),
        "n* of worst@4": _whole(best_n(best["worst@4"][:, [middle]], sizes, everyone)),
        "pass@1 at fixed problems, last budget": _short(column[:, 0, :, -1].mean(axis=1)),
        "pass@1 at fixed rollouts, last budget": _short(
            best["pass@1"][sizes.index(made["fixed_generations"]), :, :, -1].mean(axis=1)
        ),
    }
    return {"findings": findings, "tables": tables, "runs": out.useful.size}


def tuned(dials: Dials, name: str, piece: str) -> Result:
    """n*(C) at a fixed number of problems where every cell has the learning rate that suits it at each budget."""
    made, factors = dials["grid"], dials["tuned"]["factors"]
    sizes, b = made["num_generations"], made["fixed_problems"]
    cells = [Cell(piece, n, b, rate(dials, n, b) * f) for n in sizes for f in factors]
    out = simulate(
        worlds(dials, name), cells, {piece: _table(piece, sizes)}, made["budgets"], _physics(dials)
    )
    by_rate = records(out.metric("pass@1")).reshape(len(sizes), len(factors), dials["seeds"], -1)
    column = np.stack([cross_tuned(one) for one in by_rate])[:, None]
    everyone = np.arange(dials["seeds"])
    tables = {
        "budgets": made["budgets"],
        "num_generations": sizes,
        "n*": _whole(best_n(column, sizes, everyone)),
        "pass@1 at the last budget": _short(column[:, 0, :, -1].mean(axis=1)),
        "rate at the last budget, over the square-root rule's": [
            factors[int(one[:, :, -1].mean(axis=1).argmax())] for one in by_rate
        ],
    }
    return {"findings": _about_n(column, dials, f"{b} problems"), "tables": tables, "runs": out.useful.size}


def single(dials: Dials, piece: str) -> Result:
    """One tabular problem at equal rollouts, by the square-root rule and at a constant rate."""
    made = dials["single"]
    world, sizes = one_problem(made["answers"], made["pass_rate"]), made["num_generations"]
    findings: list[Finding] = []
    tables: dict[str, Any] = {"num_generations": sizes}
    runs = 0
    for rule, power in (("square root", 0.5), ("constant", 0.0)):
        cells = [Cell(piece, n, 1, made["learning_rate"] * (n / made["anchor"]) ** power) for n in sizes]
        out = simulate(
            dict.fromkeys(range(made["seeds"]), world),
            cells,
            {piece: _table(piece, sizes)},
            [made["budget"]],
            Physics(share=0.0, optimizer="sgd"),
        )
        loss = 1 - out.metric("train pass@1")[..., 0]  # [n, seeds]
        findings += [
            finding("single_more_steps", rule, _largest_rise(loss)),
            finding("single_small_wins", rule, paired(loss[-1] - loss[0])),
        ]
        tables[f"1 − p, {rule} rule"] = _short(loss.mean(axis=1))
        runs += out.useful.size
    return {"findings": findings, "tables": tables, "runs": runs}


def rates(dials: Dials, name: str) -> Result:
    """Three learning-rate rules at eight times the batch at which the rate was set."""
    made, b, n = dials["rates"], dials["grid"]["fixed_problems"], dials["rates"]["num_generations"]
    piece, batch = made["credit"], made["num_generations"] * b
    ratio, base = batch / dials["anchor"], dials["learning_rate"]
    rules = {"square root": base * ratio**0.5, "constant": base, "linear": base * ratio}
    small = Cell(piece, dials["anchor"] // b, b, base)
    tables = {piece: _table(piece, [small.num_generations, n])}
    seen = worlds(dials, name)
    target = (
        simulate(seen, [small], tables, [1, made["budget"]], _physics(dials)).metric("pass@1").mean(axis=1)[0]
    )
    half = float(target.mean())
    steps = [batch * (k + 1) for k in range(made["budget"] // batch)]
    out = simulate(seen, [Cell(piece, n, b, r) for r in rules.values()], tables, steps, _physics(dials))
    root, constant, linear = out.metric("pass@1")
    faster = np.log2(steps_to(constant, half) / steps_to(root, half))
    return {
        "findings": [
            finding("sqrt_faster", f"target {half:.3f}", paired(faster)),
            finding("linear_diverges", f"after {len(steps)} steps", paired(root[:, -1] - linear[:, -1])),
        ],
        "tables": {
            "rules": list(rules),
            "learning rate": _short(np.array(list(rules.values()))),
            "steps to target": [float(steps_to(one, half).mean()) for one in (root, constant, linear)],
            "final pass@1": _short(np.array([one[:, -1].mean() for one in (root, constant, linear)])),
            "lowest pass@1 after reaching the target": _short(
                np.array([_lowest_after(one, half) for one in (root, constant, linear)])
            ),
        },
        "runs": out.useful.size + len(seeds_of(dials)),
    }


def interference(dials: Dials) -> Result:
    """n*(C) of the problems that are trained on, as they share less."""
    made, grids = dials["interference"], dials["grid"]
    sizes, b, piece = grids["num_generations"], grids["fixed_problems"], made["credit"]
    cells = [Cell(piece, n, b, rate(dials, n, b)) for n in sizes]
    curves, tables = [], {"budgets": grids["budgets"], "num_generations": sizes}
    everyone, runs = np.arange(dials["seeds"]), 0
    for share in made["shares"]:
        physics = Physics(share=share, optimizer=dials["optimizer"])
        out = simulate(
            worlds(dials, made["set"]), cells, {piece: _table(piece, sizes)}, grids["budgets"], physics
        )
        column = records(out.metric("train pass@1"))[:, None]
        curves.append(column)
        tables[f"n* at share {share:g}"] = _whole(best_n(column, sizes, everyone))
        tables[f"train pass@1 at share {share:g}, last budget"] = _short(column[:, 0, :, -1].mean(axis=1))
        runs += out.useful.size
    apart, shared = curves[made["shares"].index(0.0)], curves[made["shares"].index(1.0)]
    found = over_seeds(
        lambda s: float(best_n(shared, sizes, s)[-1] - best_n(apart, sizes, s)[-1]), dials["seeds"]
    )
    return {
        "findings": [finding("interference_wants_more", f"{made['set']}, {b} problems", found)],
        "tables": tables,
        "runs": runs,
    }


def _about_n(best: Float[np.ndarray, "n problems seeds budgets"], dials: Dials, where: str) -> list[Finding]:
    """The four claims about the shape of n*(C), from the first budget on."""
    made = dials["grid"]
    sizes, first = made["num_generations"], made["budgets"].index(made["first"])
    quarter = made["budgets"].index(made["budgets"][-1] // 4)
    statistics: dict[str, Callable[[np.ndarray], float]] = {
        "n_rises": lambda curve: float(curve[-1] - curve[first]),
        "n_never_falls": lambda curve: largest_fall(curve[first:]),
        "n_flattens": lambda curve: float(abs(curve[-1] - curve[quarter])),
        "n_saturates": lambda curve: float(curve[-1]),
    }

    whole = best_n(best, sizes, np.arange(dials["seeds"]))
    curves = [best_n(best, sizes, s) for s in resamples(dials["seeds"])]
    return [
        finding(claim_id, where, limits(of(whole), [of(curve) for curve in curves]))
        for claim_id, of in statistics.items()
    ]


def _range_ratio(best: Float[np.ndarray, "n problems seeds"], dials: Dials) -> Interval:
    made = dials["grid"]
    sizes, problems = np.array(made["num_generations"]), np.array(made["problems_per_step"])
    down = best[(sizes >= RANGE[0]) & (sizes <= RANGE[1]), list(problems).index(made["fixed_problems"])]
    across = best[
        list(sizes).index(made["fixed_generations"]), (problems >= RANGE[0]) & (problems <= RANGE[1])
    ]
    return over_seeds(
        lambda s: range_over(down[:, s].mean(axis=1)) / range_over(across[:, s].mean(axis=1)), dials["seeds"]
    )


def _largest_rise(loss: Float[np.ndarray, "n seeds"]) -> Interval:
    """Of the mean loss, from one n to the one below it."""
    return over_seeds(lambda s: float(-np.diff(loss[:, s].mean(axis=1)).min()), loss.shape[1])


def _lowest_after(curves: Float[np.ndarray, "seeds steps"], target: float) -> float:
    """Mean over seeds of the lowest reading from the step on that reached the target."""
    starts = steps_to(curves, target).astype(int) - 1
    return float(np.mean([curve[start:].min() for curve, start in zip(curves, starts)]))


def _table(piece: str, sizes: Sequence[int]) -> Float[np.ndarray, "n k 2"]:
    return tabulate(PIECES[piece], max(sizes), tuple(sorted(set(sizes))))


def _physics(dials: Dials) -> Physics:
    return Physics(share=dials["share"], optimizer=dials["optimizer"])


def _whole(logs: Float[np.ndarray, "budgets"]) -> list[int]:
    return [round(2**x) for x in logs]


def _short(values: Float[np.ndarray, "n"]) -> list[float]:
    return [round(float(v), 4) for v in values]
