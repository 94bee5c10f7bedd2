"""Which of two recipes is better: by predicted reward at a budget, and by efficiency at an equal asymptote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hone.compute.curve_search import search
from hone.compute.estimate import Estimate, percentile_estimate
from hone.compute.recipe_curve import PredictedReward, RecipeCurve
from hone.compute.reward_curve import MAX_EXTRAPOLATION
from hone.core.errors import DataError

SAME_ASYMPTOTE = 0.02  # ScaleRL's margin on A, from three seeds


@dataclass(frozen=True)
class Difference:
    """Reward of `first` minus that of `second` at a compute. `real`: the interval leaves out 0."""

    compute: float
    first: PredictedReward
    second: PredictedReward
    difference: Estimate
    real: bool


@dataclass(frozen=True)
class Standing:
    """The recipes at a budget, best first (places in the list that was given), and the best against the second."""

    compute: float
    order: tuple[int, ...]
    rewards: tuple[PredictedReward, ...]
    lead: Difference


@dataclass(frozen=True)
class EfficiencyComparison:
    """B of two recipes, both refitted with the asymptote `A`; `difference` is that of B. `real`: it leaves out 0."""

    A: float
    first: Estimate
    second: Estimate
    difference: Estimate
    real: bool


def compare_at(
    first: RecipeCurve, second: RecipeCurve, compute: float, *, max_extrapolation: float = MAX_EXTRAPOLATION
) -> Difference:
    """The difference of mean reward at a budget. The recipes' runs are taken as independent of each other."""
    _check_alike(first, second)
    one = first.predict(compute, max_extrapolation=max_extrapolation)
    two = second.predict(compute, max_extrapolation=max_extrapolation)
    gap = _difference(first.rewards_at(compute), second.rewards_at(compute))
    return Difference(float(compute), one, two, gap, _leaves_out_zero(gap))


def standing_at(
    curves: Sequence[RecipeCurve], compute: float, *, max_extrapolation: float = MAX_EXTRAPOLATION
) -> Standing:
    """All recipes at a budget, best first. DataError for fewer than two."""
    if len(curves) < 2:
        raise DataError(
            "There is one recipe, and nothing to compare it with.", "Give the runs of two or more."
        )
    rewards = [curve.predict(compute, max_extrapolation=max_extrapolation) for curve in curves]
    order = tuple(int(at) for at in np.argsort([-one.reward.value for one in rewards], kind="stable"))
    lead = compare_at(curves[order[0]], curves[order[1]], compute, max_extrapolation=max_extrapolation)
    return Standing(float(compute), order, tuple(rewards[at] for at in order), lead)


def compare_efficiency(first: RecipeCurve, second: RecipeCurve) -> EfficiencyComparison | None:
    """ScaleRL's rule: B has no margin of its own, so where A agrees within 0.02 both are refitted with the average A
    and B is compared. None where A differs by more: there the asymptotes decide. Source: arXiv 2510.13786."""
    _check_alike(first, second)
    if "power" in (first.fit.form, second.fit.form):
        raise DataError("B of a power law is no efficiency.", 'Fit with form="scalerl" or "sigmoid".')
    if abs(first.fit.A - second.fit.A) > SAME_ASYMPTOTE + 1e-9:
        return None
    average = (first.fit.A + second.fit.A) / 2
    one, two = (_efficiencies(curve, average) for curve in (first, second))
    gap = _difference(one, two)
    return EfficiencyComparison(
        average,
        percentile_estimate(one[0], one[1:]),
        percentile_estimate(two[0], two[1:]),
        gap,
        _leaves_out_zero(gap),
    )


def _efficiencies(curve: RecipeCurve, asymptote: float) -> np.ndarray:
    spec = replace(curve.spec, end=asymptote)
    return search(spec, curve.data.compute, curve.data.reward, curve.data.weight, curve.data.start).efficiency


def _difference(one: np.ndarray, two: np.ndarray) -> Estimate:
    """Row 0 minus row 0, with the limits of as many pairs as both have."""
    pairs = min(len(one), len(two))
    return percentile_estimate(one[0] - two[0], one[1:pairs] - two[1:pairs])


def _leaves_out_zero(gap: Estimate) -> bool:
    return gap.low > 0 or gap.high < 0


def _check_alike(first: RecipeCurve, second: RecipeCurve) -> None:
    for name in ("unit", "metric"):
        one, two = getattr(first, name), getattr(second, name)
        if one != two:
            raise DataError(f"The fits differ in {name}: {one} and {two}.", f"Fit both with one {name}.")
