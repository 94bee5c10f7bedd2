"""Compute: where the budget goes, what it buys, and where it should go."""

from hone.compute.allocation import AllocationFit, fit_allocation
from hone.compute.comparing import compare_at, compare_efficiency, standing_at
from hone.compute.frontier import Frontier, frontier
from hone.compute.ledger import Ledger
from hone.compute.recipe_curve import RecipeCurve, fit_recipe
from hone.compute.records import frontier_of_points, record_bias, record_breaking
from hone.compute.reward_curve import RewardFit, fit_reward_curve
from hone.compute.series import Series

__all__ = [
    "AllocationFit",
    "Frontier",
    "Ledger",
    "RecipeCurve",
    "RewardFit",
    "Series",
    "compare_at",
    "compare_efficiency",
    "fit_allocation",
    "fit_recipe",
    "fit_reward_curve",
    "frontier",
    "frontier_of_points",
    "record_bias",
    "record_breaking",
    "standing_at",
]
