"""The best model, length and number of samples for a budget at test time, and what counting operations alone says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hone.compute.cost import Decoder
from hone.compute.estimate import Estimate, percentile_estimate
from hone.compute.kinetics import INTENSITY, CompletionCost, TopK, completion_cost
from hone.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Measured:
    """What was measured of one model at one maximum length.

    `prompt` and `tokens` are the mean tokens of a prompt and of a completion (at most `length`). Of the `samples`
    completions of each problem, `correct` were right. `attention` is how it was sampled; None is dense.
    """

    model: str
    shape: Decoder
    length: int
    prompt: int
    tokens: int
    samples: Int[np.ndarray, "problems"]
    correct: Int[np.ndarray, "problems"]
    attention: TopK | None = None

    def __post_init__(self) -> None:
        n, c = np.asarray(self.samples), np.asarray(self.correct)
        if (
            n.ndim != 1
            or n.shape != c.shape
            or len(n) == 0
            or (c < 0).any()
            or (c > n).any()
            or (n < 1).any()
        ):
            raise DataError(
                f"`{self.model}` at length {self.length}: samples of shape {n.shape}, correct of shape {c.shape}.",
                "Give both for each problem, with 0 <= correct <= samples and samples at least 1.",
            )

    def coverage(self, count: int) -> Float[np.ndarray, "problems"]:
        """For each problem the share of `count`-subsets of its completions with a right one; unbiased."""
        from scipy.special import gammaln

        n, wrong = np.asarray(self.samples), np.asarray(self.samples) - np.asarray(self.correct)
        if count > n.min():
            raise DataError(
                f"`{self.model}` at length {self.length} has {n.min()} samples of a problem, fewer than {count}.",
                "Sample more, or ask for fewer.",
            )
        possible = wrong >= count
        few = np.where(possible, wrong, count)
        log = gammaln(few + 1) - gammaln(few - count + 1) + gammaln(n - count + 1) - gammaln(n + 1)
        return np.where(possible, 1 - np.exp(log), 1.0)


@dataclass(frozen=True)
class Choice:
    """One way to answer a problem: its place in the table, samples, cost a problem, and coverage with its 95% limits
    (problems redrawn)."""

    row: int
    model: str
    length: int
    samples: int
    cost: CompletionCost
    coverage: Estimate


@dataclass(frozen=True)
class TestTimePlan:
    """The best choice within a budget, and the one of a planner that counts operations alone.

    `by_flops` walks the frontier of coverage against operations up to the last choice whose real cost is within the
    budget: what such a planner gets for the same money. None if its cheapest choice is already beyond.
    """

    __test__ = False  # a plan, and no test that pytest should collect

    budget: float
    best: Choice
    by_flops: Choice | None


def choices(
    table: Sequence[Measured], samples: Sequence[int], *, resamples: int = 400, seed: int = 0
) -> list[Choice]:
    """Every row of the table with every number of samples that its measurements allow."""
    found = []
    for row, measured in enumerate(table):
        problems = len(measured.samples)
        draws = np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), resamples)
        for count in samples:
            if count > np.min(measured.samples):
                continue
            covered = measured.coverage(count)
            cost = completion_cost(
                measured.shape, measured.prompt, measured.tokens, count, measured.attention
            )
            coverage = percentile_estimate(float(covered.mean()), draws @ covered / problems)
            found.append(Choice(row, measured.model, measured.length, count, cost, coverage))
    if not found:
        raise DataError("No measured row has as many samples as asked for.", "Ask for fewer samples.")
    return found


def cost_frontier(options: Sequence[Choice], intensity: float = INTENSITY) -> list[Choice]:
    """The choices that no cheaper one equals in coverage, cheapest first; `intensity` 0 counts operations alone."""
    ordered = sorted(options, key=lambda one: (one.cost.total(intensity), -one.coverage.value))
    best: list[Choice] = []
    for one in ordered:
        if not best or one.coverage.value > best[-1].coverage.value:
            best.append(one)
    return best


def plan_test_time(
    table: Sequence[Measured],
    budget: float,
    *,
    samples: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128),
    intensity: float = INTENSITY,
    seed: int = 0,
) -> TestTimePlan:
    """The (model, length, samples) of the highest coverage that costs at most `budget` a problem.

    The budget is in operations, with a byte of cache as `intensity` of them. Coverage is what a perfect verifier makes
    of the samples. Source: Kinetics (arXiv 2506.05333). DataError if nothing is within the budget.
    """
    options = choices(table, samples, seed=seed)
    within = [one for one in cost_frontier(options, intensity) if one.cost.total(intensity) <= budget]
    if not within:
        cheapest = min(one.cost.total(intensity) for one in options)
        raise DataError(f"Nothing costs at most {budget:.3g}.", f"The cheapest choice costs {cheapest:.3g}.")
    by_flops = None
    for one in cost_frontier(options, 0.0):
        if one.cost.total(intensity) > budget:
            break
        by_flops = one
    return TestTimePlan(float(budget), within[-1], by_flops)
