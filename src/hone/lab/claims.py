"""Claims: statements fixed before they are tested, and the verdict that code reaches from an interval and a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hone.evals import Interval, t_interval

if TYPE_CHECKING:
    from jaxtyping import Float, Int

RESAMPLES = 1000
Statistic = Callable[["Int[np.ndarray, 'seeds']"], float]


@dataclass(frozen=True)
class Claim:
    """What is claimed of a statistic: that it lies above (">") or below ("<") `margin`."""

    id: str
    statement: str
    statistic: str
    direction: Literal[">", "<"]
    margin: float


CLAIMS: dict[str, Claim] = {
    claim.id: claim
    for claim in (
        Claim(
            "n_rises",
            "The best number of rollouts grows with the budget (T3).",
            "log2 n*(last budget) − log2 n*(first budget), 64 times apart",
            ">",
            0.5,
        ),
        Claim(
            "n_never_falls",
            "It never falls by more than one step of the grid on the way (T3).",
            "largest fall of log2 n*(C) from any budget to a later one",
            "<",
            1.5,
        ),
        Claim(
            "n_flattens",
            "It is flat at the end (T3).",
            "log2 n*(last budget) − log2 n*(a quarter of it)",
            "<",
            0.5,
        ),
        Claim(
            "n_saturates",
            "It ends inside the grid, below its largest value (T3).",
            "log2 n*(last budget); the grid ends at 7",
            "<",
            6.5,
        ),
        Claim(
            "n_matters_more",
            "Rollouts of a problem matter more than problems of a step (T5).",
            "range of pass@1 over n in 4..64 at 16 problems, over its range over 4..64 problems at n = 16",
            ">",
            1.5,
        ),
        Claim(
            "worst_wants_no_fewer",
            "Easy: worst@4 wants no fewer rollouts than best@4 (T4).",
            "mean over 4, 8 and 16 problems of log2 n*(worst@4) − log2 n*(best@4)",
            ">",
            -0.5,
        ),
        Claim(
            "worst_wants_more",
            "Easy: worst@4 wants more rollouts than best@4 (T4, strictly).",
            "mean over 4, 8 and 16 problems of log2 n*(worst@4) − log2 n*(best@4)",
            ">",
            0.5,
        ),
        Claim(
            "best_wants_no_fewer",
            "Hard: best@4 wants no fewer rollouts than worst@4 (T4).",
            "mean over 4, 8 and 16 problems of log2 n*(best@4) − log2 n*(worst@4)",
            ">",
            -0.5,
        ),
        Claim(
            "best_wants_more",
            "Hard: best@4 wants more rollouts than worst@4 (T4, strictly).",
            "mean over 4, 8 and 16 problems of log2 n*(best@4) − log2 n*(worst@4)",
            ">",
            0.5,
        ),
        Claim(
            "single_more_steps",
            "One problem: at equal rollouts, more steps never end worse (T3).",
            "largest rise of 1 − p from one n to half of it",
            "<",
            0.01,
        ),
        Claim(
            "single_small_wins",
            "One problem: the smallest n beats the largest (T3).",
            "1 − p at n = 64, less 1 − p at n = 2",
            ">",
            0.0,
        ),
        Claim(
            "sqrt_faster",
            "At 8 times the batch the square-root rule needs fewer steps than a constant rate (T6).",
            "log2 of steps to half of the base cell's gain: constant over square root",
            ">",
            0.25,
        ),
        Claim(
            "linear_diverges",
            "At 8 times the batch the linear rule ends lower than the square-root rule (T6).",
            "final pass@1, square root less linear",
            ">",
            0.01,
        ),
        Claim(
            "interference_wants_more",
            "Problems that interfere want more rollouts than problems that do not.",
            "log2 n*(last budget) of train pass@1, all shared less nothing shared",
            ">",
            0.5,
        ),
        Claim(
            "allocation_better",
            "The policy beats uniform allocation at equal rollouts.",
            "pass@1 of the policy less that of uniform, same credit",
            ">",
            0.0,
        ),
    )
}


def verdict(claim: Claim, found: Interval) -> Literal["holds", "does not hold", "undecided"]:
    """`holds` if the whole interval lies on the claimed side of the margin, `does not hold` if none of it does."""
    if claim.direction == ">":
        return (
            "holds"
            if found.low > claim.margin
            else "does not hold"
            if found.high <= claim.margin
            else "undecided"
        )
    return (
        "holds"
        if found.high < claim.margin
        else "does not hold"
        if found.low >= claim.margin
        else "undecided"
    )


def over_seeds(statistic: Statistic, seeds: int) -> Interval:
    """`statistic` of all seeds, with 95% percentile limits from resampling whole seeds.

    `statistic` takes the indices of the seeds to use. A resampled seed is taken in all cells at once, so
    comparisons stay paired. For what is no mean of seeds, such as the place of a maximum.
    """
    return limits(statistic(np.arange(seeds)), [statistic(s) for s in resamples(seeds)])


def resamples(seeds: int) -> list[Int[np.ndarray, "seeds"]]:
    """Indices of seeds drawn with replacement, the same at every call."""
    rng = np.random.default_rng(0)
    return [rng.integers(seeds, size=seeds) for _ in range(RESAMPLES)]


def limits(value: float, drawn: Sequence[float]) -> Interval:
    """`value` with the 95% percentile limits of its resamples."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def paired(values: Float[np.ndarray, "seeds"]) -> Interval:
    """Mean over seeds of paired differences, with Student's limits."""
    return t_interval(values)
