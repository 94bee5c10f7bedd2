"""Simulated runs: cells of a grid, each with the same seeds, and what their policies are worth at each budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hone.core.errors import EngineError, RecipeError
from hone.core.noise import NoiseKey
from hone.core.options import require, require_choice
from hone.core.problem import stable_hash
from hone.lab.metrics import METRICS
from hone.lab.world import World

if TYPE_CHECKING:
    from jaxtyping import Float, Int

POLICIES = ("uniform", "refill", "first_success", "signal", "variance", "log_variance")


@dataclass(frozen=True)
class Cell:
    """What is set for a run, its seed aside. `credit` names a table, `num_generations` is also the cap of early ends."""

    credit: str
    num_generations: int
    problems_per_step: int
    learning_rate: float
    policy: str = "uniform"

    def __post_init__(self) -> None:
        require_choice("policy", self.policy, POLICIES)
        require("num_generations", self.num_generations, self.num_generations >= 1, "1 or more")
        require("problems_per_step", self.problems_per_step, self.problems_per_step >= 1, "1 or more")


@dataclass(frozen=True)
class Physics:
    """What all runs of a call share.

    `share` is the dial of interference: logits are sqrt(share) x·theta + sqrt(1 - share) own[problem, answer], plus the
    base policy's. At 1 all that is learnt lies in features that problems share; at 0 the policy is a table, and no
    problem touches another. A dial of its own, and not the number of features, because it leaves the base policy
    and the problems as they are. `decay` is what a Beta posterior keeps of its counts when a problem comes again.
    """

    share: float = 1.0
    optimizer: Literal["adam", "sgd"] = "adam"
    decay: float = 0.9

    def __post_init__(self) -> None:
        require("share", self.share, 0 <= self.share <= 1, "from 0 to 1")
        require_choice("optimizer", self.optimizer, ("adam", "sgd"))
        require("decay", self.decay, 0 <= self.decay <= 1, "from 0 to 1")


@dataclass(frozen=True, eq=False)
class Outcome:
    """`readings[cells, seeds, budgets, metrics]` in the order of METRICS, and what else a run tells."""

    readings: Float[np.ndarray, "cells seeds budgets metrics"]
    useful: Float[np.ndarray, "cells seeds"]  # share of rollouts in groups with signal
    thetas: Float[np.ndarray, "cells seeds features"]  # the trained shared weights

    def metric(self, name: str) -> Float[np.ndarray, "cells seeds budgets"]:
        """One metric of METRICS."""
        return self.readings[..., METRICS.index(name)]


def simulate(
    worlds: Mapping[int, World],
    cells: Sequence[Cell],
    tables: Mapping[str, Float[np.ndarray, "n k 2"]],
    budgets: Sequence[int],
    physics: Physics,
) -> Outcome:
    """Run every cell with every seed of `worlds` up to the last of `budgets`, which are rollouts and rise.

    Runs of a seed share its world, its order of problems and its stream of noise, whatever runs beside them. Raises
    RecipeError for a cell whose credit table or group size is missing, EngineError without numba.
    """
    from hone.kernels.numba_jit import has_numba, use_torch_threads

    if not has_numba():
        raise EngineError("The simulator is compiled by numba, which is not installed.", "Install numba.")
    limits = np.asarray(budgets, dtype=np.int64)
    require("budgets", list(budgets), len(limits) > 0 and bool((np.diff(limits, prepend=0) > 0).all()), "rising")
    from hone.lab.kernel import many_runs

    names = sorted({cell.credit for cell in cells})
    stack = _stack(cells, names, tables)
    seeds = list(worlds)
    # Long and short runs take turns, so that threads that take equal parts have equal work.
    runs = sorted(
        ((c, s) for c in range(len(cells)) for s in range(len(seeds))),
        key=lambda run: (run[1], cells[run[0]].num_generations),
    )
    of = [cells[c] for c, _ in runs]
    at = [s for _, s in runs]
    together = {
        key: np.stack([getattr(world, key) for world in worlds.values()])
        for key in ("features", "base", "held_features", "held_base")
    }
    readings = np.full((len(runs), len(limits), len(METRICS)), np.nan)
    useful = np.zeros(len(runs))
    thetas = np.zeros((len(runs), together["features"].shape[-1]))
    use_torch_threads()
    many_runs(
        *together.values(),
        float(physics.share),
        float(physics.decay),
        stack,
        np.array(at, dtype=np.int64),
        np.array([names.index(cell.credit) for cell in of], dtype=np.int64),
        np.array([cell.num_generations for cell in of], dtype=np.int64),
        np.array([cell.problems_per_step for cell in of], dtype=np.int64),
        np.array([POLICIES.index(cell.policy) for cell in of], dtype=np.int64),
        np.array([cell.learning_rate for cell in of], dtype=np.float64),
        physics.optimizer == "adam",
        _heads("order", [seeds[s] for s in at]),
        _heads("rollouts", [seeds[s] for s in at]),
        limits,
        readings,
        useful,
        thetas,
    )
    back = np.empty((len(cells), len(seeds)), dtype=np.int64)
    for r, (c, s) in enumerate(runs):
        back[c, s] = r
    return Outcome(readings[back], useful[back], thetas[back])


def _stack(
    cells: Sequence[Cell], names: Sequence[str], tables: Mapping[str, Float[np.ndarray, "n k 2"]]
) -> Float[np.ndarray, "tables n k 2"]:
    """The tables that are used, of one size."""
    for cell in cells:
        if cell.credit not in tables:
            raise RecipeError(f"There is no credit table `{cell.credit}`.", f"There are: {', '.join(tables)}.")
        table, n = tables[cell.credit], cell.num_generations
        if n >= len(table) or np.isnan(table[n, : n + 1]).any():
            raise RecipeError(
                f"The credit table `{cell.credit}` has no groups of {n}.", "Tabulate the piece for this size."
            )
    most = max(len(tables[name]) for name in names)
    out = np.full((len(names), most, most, 2), np.nan)
    for row, name in zip(out, names):
        n = len(tables[name])
        row[:n, :n] = tables[name]
    return out


def _heads(purpose: str, seeds: Sequence[int]) -> Int[np.ndarray, "runs"]:
    """The start of each seed's stream of noise, as `core.noise` makes it."""
    keys = [NoiseKey(seed, purpose) for seed in seeds]
    return np.array(
        [stable_hash(k.seed, k.purpose, k.step, k.draw, k.path) for k in keys], dtype=np.uint64
    )
