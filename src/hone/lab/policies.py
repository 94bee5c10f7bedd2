"""The study of allocation: each policy against uniform at equal rollouts, and the bias of optional stopping."""

from __future__ import annotations

from typing import Any

import numpy as np

from hone.evals import Interval
from hone.lab.claims import paired
from hone.lab.credit_table import tabulate
from hone.lab.dials import Dials, rate, worlds
from hone.lab.grids import PIECES, Result, finding
from hone.lab.simulate import Cell, Physics, simulate
from hone.lab.stopping import expected_size, first_success_table, weight

# (policy, credit, what its update is)
ARMS = (
    ("uniform", "rloo", "unbiased"),
    ("refill", "rloo", "problems weighed by their chance of signal"),
    ("signal", "rloo", "biased: see the table of bias"),
    ("variance", "rloo", "unbiased"),
    ("uniform", "maxrl", "unbiased, of order n − 1"),
    ("refill", "maxrl", "problems weighed by their chance of signal"),
    ("signal", "maxrl", "biased: see the table of bias"),
    ("log_variance", "maxrl", "unbiased, of an order that differs by problem"),
    ("first_success", "first success", "unbiased, of the order of the cap"),
)
OWN_SIZE = (
    "signal",
    "first_success",
    "variance",
    "log_variance",
)  # may exceed the uniform size, up to the cap


def allocation(dials: Dials, name: str) -> Result:
    """Every arm with the same seeds, at an early and at the last budget, against uniform with the same credit.

    A group that ends early may have up to `cap` rollouts; a policy with a fixed total spreads that of uniform. All
    arms have the learning rate of uniform, which Adam makes independent of the scale of advantages. `first_success`
    is compared with uniform `maxrl`, whose objective it shares up to the order.
    """
    made = dials["allocation"]
    n, b, cap = made["num_generations"], made["problems_per_step"], made["cap"]
    tables = {piece: tabulate(PIECES[piece], cap) for piece in ("rloo", "maxrl")}
    tables["first success"] = first_success_table(cap)
    # A group that ends early is capped by its size; where a total is spread, the size is its mean.
    cells = [
        Cell(piece, cap if policy in ("signal", "first_success") else n, b, rate(dials, n, b), policy)
        for policy, piece, _ in ARMS
    ]
    budgets = [made["early"], dials["grid"]["budgets"][-1]]
    physics = Physics(dials["share"], dials["optimizer"], made["decay"])
    out = simulate(worlds(dials, name), cells, tables, budgets, physics)
    held = out.metric("pass@1")
    findings, rows = [], []
    for i, (policy, piece, update) in enumerate(ARMS):
        rival = next(k for k, arm in enumerate(ARMS) if arm[0] == "uniform" and arm[1] in (piece, "maxrl"))
        row: dict[str, Any] = {"policy": policy, "credit": piece, "update": update}
        row["rollouts in groups with signal"] = round(float(out.useful[i].mean()), 4)
        for k, budget in enumerate(budgets):
            row[f"pass@1 at {budget}"] = round(float(held[i, :, k].mean()), 4)
            if policy != "uniform":
                found: Interval = paired(held[i, :, k] - held[rival, :, k])
                findings.append(finding("allocation_better", f"{policy}, {piece}, {budget} rollouts", found))
        rows.append(row)
    return {"findings": findings, "tables": {"arms": rows}, "runs": out.useful.size}


def bias(dials: Dials) -> Result:
    """The factor c(p) of a group's expected update c(p) grad p, where groups end early, over what is stated.

    1 is unbiased. `signal` is set against the objective of the same piece: p itself for rloo, MaxRL's of order
    cap - 1 for maxrl. A common factor would not matter; that it differs between pass rates is the bias.
    """
    made = dials["allocation"]
    cap, ps = made["cap"], made["pass_rates"]
    rloo, maxrl = (tabulate(PIECES[piece], cap) for piece in ("rloo", "maxrl"))

    def order(p: float, t: int) -> float:
        return float((1 - (1 - p) ** t) / p)

    return {
        "findings": [],
        "tables": {
            "pass rate": ps,
            "signal, rloo": [round(weight(rloo, "signal", cap, p), 4) for p in ps],
            "signal, maxrl": [round(weight(maxrl, "signal", cap, p) / order(p, cap - 1), 4) for p in ps],
            "first success": [
                round(weight(first_success_table(cap), "first_success", cap, p) / order(p, cap), 4)
                for p in ps
            ],
            "rollouts of a group that ends at signal": _sizes("signal", cap, ps),
            "rollouts of a group that ends at the first success": _sizes("first_success", cap, ps),
        },
        "runs": 0,
    }


def _sizes(rule: str, cap: int, ps: list[float]) -> list[float]:
    return [round(float(np.float64(expected_size(rule, cap, p))), 2) for p in ps]
