"""Simulated runs: cells of a grid, each with the same seeds, and what their policies are worth at each budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

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
    """What is set for a run, but for its seed. `credit` names a table; a group that ends early has at most
    `num_generations` rollouts."""

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
    RecipeError for a cell whose credit table or group size is missing, EngineError without numba. Runs go side by side
    on as many threads as torch has.
    """
    from hone.kernels.numba_jit import has_numba

    if not has_numba():
        raise EngineError("The simulator is compiled by numba, which is not installed.", "Install numba.")
    limits = np.asarray(budgets, dtype=np.int64)
    require(
        "budgets", list(budgets), len(limits) > 0 and bool((np.diff(limits, prepend=0) > 0).all()), "rising"
    )
    for cell in cells:
        _check_table(cell, tables)
    features = next(iter(worlds.values())).features.shape[-1]
    shape = (len(cells), len(worlds))
    out = Outcome(
        np.full((*shape, len(limits), len(METRICS)), np.nan), np.zeros(shape), np.zeros((*shape, features))
    )

    def one(c: int, s: int) -> None:
        seed, world = list(worlds.items())[s]
        out.useful[c, s] = _run(
            world, seed, cells[c], tables, limits, physics, out.readings[c, s], out.thetas[c, s]
        )

    # Runs with small groups take longest and go first, so that no thread is left with one at the end.
    order = sorted(range(len(cells)), key=lambda c: cells[c].num_generations)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for done in [pool.submit(one, c, s) for c in order for s in range(len(worlds))]:
            done.result()
    return out


def _run(
    world: World,
    seed: int,
    cell: Cell,
    tables: Mapping[str, Float[np.ndarray, "n k 2"]],
    budgets: Int[np.ndarray, "budgets"],
    physics: Physics,
    readings: Float[np.ndarray, "budgets metrics"],
    theta: Float[np.ndarray, "features"],
) -> float:
    """One run, whose readings and weights are written in place; the share of rollouts in groups with signal."""
    from hone.lab.kernel import one_run

    return float(
        one_run(
            world.features,
            world.base,
            world.held_features,
            world.held_base,
            float(physics.share),
            tables[cell.credit],
            cell.num_generations,
            cell.problems_per_step,
            POLICIES.index(cell.policy),
            float(physics.decay),
            float(cell.learning_rate),
            physics.optimizer == "adam",
            _head("order", seed),
            _head("rollouts", seed),
            budgets,
            readings,
            theta,
            np.zeros_like(world.base),
        )
    )


def _check_table(cell: Cell, tables: Mapping[str, Float[np.ndarray, "n k 2"]]) -> None:
    if cell.credit not in tables:
        raise RecipeError(f"There is no credit table `{cell.credit}`.", f"There are: {', '.join(tables)}.")
    table, n = tables[cell.credit], cell.num_generations
    # Where group sizes are chosen as rollouts come, every size up to the largest can occur.
    sizes = [n] if cell.policy in ("uniform", "refill") else range(2, len(table))
    if n >= len(table) or any(np.isnan(table[size, : size + 1]).any() for size in sizes):
        raise RecipeError(
            f"The credit table `{cell.credit}` lacks group sizes that `{cell.policy}` needs at n = {n}.",
            "Tabulate the piece for them.",
        )


def _head(purpose: str, seed: int) -> np.uint64:
    """The start of a seed's stream of noise, as `core.noise` makes it."""
    k = NoiseKey(seed, purpose)
    return np.uint64(stable_hash(k.seed, k.purpose, k.step, k.draw, k.path))
