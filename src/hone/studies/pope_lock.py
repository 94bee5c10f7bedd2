"""POPE on combination locks: what guided prompts teach that plain sampling never meets, and what carries it over.

A lock has `length` positions and `symbols` symbols. A rollout writes the whole combination, one symbol a position, and
has reward 1 exactly if all are right. The policy is a table of logits for each position, uniform at first, so a
rollout succeeds with `symbols ** -length`. A run's problems are copies of one lock that share the table, each with a
prefix that its own search found: prompts that begin at several places of one chain. A guided prompt puts the first
symbols there; they are no actions and get no gradient. Success is exact: a product of probabilities.

Every arm spends the same rollouts, those of the prefix search included. With `overlap` 0 guided and unguided prompts
have no state in common, which for a table is the same as a policy that sees a flag "guided".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.core.lazy import torch
from hone.credit import Grpo, Maxrl, Rloo
from hone.evals import t_interval
from hone.lab.claims import Claim
from hone.studies.harness import Cell, Results, Study

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

CREDITS: Mapping[str, Callable[[], Any]] = {"grpo": Grpo, "rloo": Rloo, "maxrl": Maxrl}
POINTS = 40  # of a curve


@dataclass(frozen=True)
class Lock:
    """The dials of a run. `overlap` is the share of a logit that guided and unguided states have in common."""

    length: int = 10
    symbols: int = 4
    problems: int = 16
    rollouts: int = 16  # of a group
    budget: int = 51_200  # rollouts in all
    search_samples: int = 128  # for each place of a prefix
    learning_rate: float = 16.0
    credit: str = "grpo"
    prefixes: str = "minimal"  # or `none`, or `three quarters` (rounded up)
    versions: str = "both"  # or `guided`
    overlap: float = 1.0


def search(
    dials: Lock, seeds: Sequence[np.random.Generator]
) -> tuple[Int[np.ndarray, "seeds problems"], Int[np.ndarray, "seeds"]]:
    """The smallest prefix of each problem from which the uniform base succeeds at least once, and rollouts spent.

    A prefix of `length - 1` is taken without a try if no shorter one succeeds.
    """
    found = np.full((len(seeds), dials.problems), dials.length - 1)
    spent = np.zeros(len(seeds), dtype=int)
    for s, rng in enumerate(seeds):
        for p in range(dials.problems):
            for prefix in range(1, dials.length - 1):
                spent[s] += dials.search_samples
                if rng.binomial(dials.search_samples, dials.symbols ** -float(dials.length - prefix)):
                    found[s, p] = prefix
                    break
    return found, spent


def probabilities(logits: Float[np.ndarray, "... symbols"]) -> Float[np.ndarray, "... symbols"]:
    """Softmax over symbols."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def logits_of(
    table: Float[np.ndarray, "seeds parts length symbols"], overlap: float
) -> Float[np.ndarray, "seeds versions length symbols"]:
    """Logits in unguided (0) and guided (1) states: a shared part (0) and one of their own (1, 2)."""
    return np.asarray(np.sqrt(overlap) * table[:, :1] + np.sqrt(1 - overlap) * table[:, 1:])


def ascent(
    actions: Int[np.ndarray, "seeds groups rollouts length"],
    chances: Float[np.ndarray, "seeds groups length symbols"],
    advantages: Float[np.ndarray, "seeds groups rollouts"],
    prefixes: Int[np.ndarray, "seeds groups"],
) -> Float[np.ndarray, "seeds groups length symbols"]:
    """Mean over a group's rollouts of A ∇logits log π(actions). Positions inside the prefix are prompt: zero."""
    length, symbols = chances.shape[-2:]
    chosen = np.zeros(chances.shape)
    for symbol in range(symbols):
        chosen[..., symbol] = np.einsum("sgnl,sgn->sgl", actions == symbol, advantages)
    total = advantages.sum(axis=-1)[..., None, None]
    acted = np.arange(length) >= prefixes[..., None]
    return np.asarray((chosen - total * chances) * acted[..., None] / advantages.shape[-1])


def credited(
    rewards: Bool[np.ndarray, "seeds groups rollouts"], name: str
) -> Float[np.ndarray, "seeds groups rollouts"]:
    """Advantages by the library's own piece: every group of every seed is a group apart."""
    groups = torch.arange(rewards.shape[0] * rewards.shape[1]).repeat_interleave(rewards.shape[2])
    values = torch.from_numpy(rewards.reshape(-1).astype(float))
    return np.asarray(CREDITS[name]()(values, groups).numpy().reshape(rewards.shape))


def simulate(dials: Lock, seeds: Sequence[int]) -> dict[str, Any]:
    """One run a seed, side by side; a run depends on its seed alone.

    Symbol 0 is the right one everywhere: the uniform base makes no difference between symbols.
    Returns curves over rollouts and final exact success, unguided and guided (the mean over the prefixes).
    """
    rngs = [np.random.default_rng([seed, 0]) for seed in seeds]
    unguided = np.zeros((len(seeds), dials.problems), dtype=int)
    spent = np.zeros(len(seeds), dtype=int)
    if dials.prefixes == "minimal":
        prefixes, spent = search(dials, rngs)
    else:
        prefixes = np.full_like(unguided, -(-dials.length * 3 // 4))
    first = {"none": unguided, "minimal": prefixes, "three quarters": prefixes}[dials.prefixes]
    second = first if dials.versions == "guided" else unguided
    begins = np.concatenate([second, first], axis=1)  # groups of a step: twice as many as problems
    version = (begins > 0).astype(int)
    table = np.zeros((len(seeds), 3, dials.length, dials.symbols))
    step_cost = begins.shape[1] * dials.rollouts
    steps = dials.budget // step_cost
    every = max(1, steps // POINTS)
    curve: dict[str, list[Any]] = {"rollouts": [], "unguided": [], "guided": []}
    rows = np.arange(len(seeds))[:, None]
    own = np.sqrt(1 - dials.overlap)
    for step in range(steps + 1):
        chances = probabilities(logits_of(table, dials.overlap))
        if step % every == 0 or step == steps:
            curve["rollouts"].append(step * step_cost)
            curve["unguided"].append(chances[:, 0, :, 0].prod(axis=-1).tolist())
            curve["guided"].append(_guided(chances[:, 1, :, 0], prefixes).tolist())
        if step == steps:
            break
        uniform = np.stack([rng.random((begins.shape[1], dials.rollouts, dials.length)) for rng in rngs])
        shown = chances[rows, version]
        actions = (uniform[..., None] > shown.cumsum(axis=-1)[:, :, None, :, :-1]).sum(axis=-1)
        given = np.arange(dials.length) < begins[:, :, None, None]
        rewards = ((actions == 0) | given).all(axis=-1)
        move = ascent(actions, shown, credited(rewards, dials.credit), begins)
        # A run whose search cost more begins later: all end at the same number of rollouts.
        move *= (step * step_cost >= spent)[:, None, None, None]
        move *= dials.learning_rate / dials.problems
        table[:, 0] += np.sqrt(dials.overlap) * move.sum(axis=1)
        for kind in (0, 1):
            table[:, 1 + kind] += own * (move * (version == kind)[:, :, None, None]).sum(axis=1)
    return {
        **curve,
        "prefix": prefixes.mean(axis=1).tolist() if dials.prefixes != "none" else None,
        "searched": spent.tolist(),
        "final_unguided": curve["unguided"][-1],
        "final_guided": curve["guided"][-1],
    }


def _guided(
    right: Float[np.ndarray, "seeds length"], prefixes: Int[np.ndarray, "seeds problems"]
) -> Float[np.ndarray, "seeds"]:
    """Exact success from the prefixes on, averaged over problems."""
    after = np.cumprod(right[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.take_along_axis(after, prefixes, axis=1).mean(axis=1))


ARMS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"prefixes": "none"},
    "plain maxrl": {"prefixes": "none", "credit": "maxrl"},
    "pope": {},
    "pope rloo": {"credit": "rloo"},
    "pope maxrl": {"credit": "maxrl"},
    "three quarters": {"prefixes": "three quarters"},
    "guided only": {"versions": "guided"},
    "overlap 0": {"overlap": 0.0},
    "overlap 0.25": {"overlap": 0.25},
    "overlap 0.5": {"overlap": 0.5},
}
SEEDS = 32


def cells(short: bool) -> list[Cell]:
    """One cell an arm, all seeds side by side in it."""
    shared = {"seeds": 2, "budget": 5_120} if short else {"seeds": SEEDS}
    return [Cell(name, 0, {**shared, **arm}) for name, arm in ARMS.items()]


def run(cell: Cell) -> dict[str, Any]:
    """One arm."""
    settings = dict(cell.settings)
    seeds = range(settings.pop("seeds"))
    found = simulate(Lock(**settings), seeds)
    curve = line(found.pop("rollouts"), found.pop("unguided"))
    del found["guided"]
    return {**found, "curve": curve}


def line(x: Sequence[float], seeds: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    """A curve of means over seeds with Student's 95% limits; `seeds[i]` are the values at `x[i]`, shares of 1."""
    limits = [t_interval(np.array(values)) for values in seeds]
    return {
        "x": list(x),
        "y": [round(float(i.value), 5) for i in limits],
        "low": [round(max(0.0, float(i.low)), 5) for i in limits],
        "high": [round(min(1.0, float(i.high)), 5) for i in limits],
    }


def statistics(results: Results) -> Mapping[str, np.ndarray]:
    """Final exact success of each seed, and differences between arms."""
    if set(results) != set(ARMS):
        return {}
    unguided = {arm: np.array(found[0]["final_unguided"]) for arm, found in results.items()}
    guided = {arm: np.array(found[0]["final_guided"]) for arm, found in results.items()}
    return {
        "T2 plain": unguided["plain"],
        "T2 pope": unguided["pope"],
        "T2 maxrl": unguided["pope maxrl"],
        "T3 unguided": unguided["overlap 0"],
        "T3 guided": guided["overlap 0"] - guided["pope"],
        "T5": unguided["pope"] - unguided["three quarters"],
        "T5 guided": guided["three quarters"] - guided["pope"],
    }


FIGURES: Mapping[str, tuple[str, ...]] = {
    "success without guidance": ("plain", "pope", "pope rloo", "pope maxrl", "three quarters", "guided only"),
    "success by states in common": ("pope", "overlap 0.5", "overlap 0.25", "overlap 0"),
}


def curves(results: Results) -> list[dict[str, Any]]:
    """Unguided success over rollouts: the arms, and how much guided and unguided states have in common."""
    return [
        {
            "title": f"Lock: {title}",
            "x": "rollouts, searches included",
            "y": "exact success",
            "series": {arm: results[arm][0]["curve"] for arm in arms if arm in results},
        }
        for title, arms in FIGURES.items()
    ]


STUDY = Study(
    id="pope_lock",
    method="pope",
    title="Combination locks: plain sampling, guided prompts, and what carries over",
    scale="tabular",
    budget=(
        "locks of 10 positions and 4 symbols (uniform base: 1 success in 1,048,576 rollouts), 16 problems, groups of "
        "16, 51,200 rollouts a run, 128 samples for each place of a prefix counted among them, plain gradient steps of "
        "one rate, grpo unless said otherwise, 32 seeds, exact success"
    ),
    claims=(
        Claim("T2 plain", "Plain RL stays at 0 on the lock.", "unguided success, plain", "<", 0.05),
        Claim(
            "T2 pope",
            "POPE opens the lock without guidance on the same rollouts.",
            "unguided success, pope",
            ">",
            0.9,
        ),
        Claim(
            "T2 maxrl",
            "So does POPE under MaxRL's credit.",
            "unguided success, pope with maxrl",
            ">",
            0.9,
        ),
        Claim(
            "T3 unguided",
            "Where guided and unguided prompts share no states, nothing carries over.",
            "unguided success, overlap 0",
            "<",
            0.05,
        ),
        Claim(
            "T3 guided",
            "It solves guided prompts as well as POPE does.",
            "guided success, overlap 0 less pope",
            ">",
            -0.05,
        ),
        Claim(
            "T5",
            "The minimal prefix beats a fixed one of three quarters.",
            "unguided success, pope less three quarters",
            ">",
            0.1,
        ),
        Claim(
            "T5 guided",
            "The longer prefix solves its guided prompts no worse.",
            "guided success, three quarters less pope",
            ">",
            -0.05,
        ),
    ),
    cells=cells,
    run=run,
    statistics=statistics,
    sources=(__file__,),
    curves=curves,
)
