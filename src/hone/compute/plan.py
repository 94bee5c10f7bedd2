"""Plan a budget from what there is: a sweep of the user's own, or a measured base model and the published prior."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hone.compute.learning_rate import Anchor
from hone.compute.measurement import Measurement
from hone.compute.planner import Plan, plan_from_prior
from hone.compute.reward_curve import MAX_EXTRAPOLATION
from hone.compute.rollout_cost import Budget
from hone.compute.series import Series
from hone.compute.sweep_plan import plan_from_sweep
from hone.core.errors import RecipeError


def plan(
    budget: Budget,
    *,
    sweep: Sequence[Series] = (),
    in_rollouts: Sequence[Series] | None = None,
    base: Measurement | None = None,
    anchor: Anchor | None = None,
    target: str = "pass@1",
    batch: int | None = None,
    kept: Collection[str] = (),
    max_extrapolation: float = MAX_EXTRAPOLATION,
    resamples: int = 200,
) -> Plan:
    """num_generations, problems_per_step, steps and learning rate for `budget`, with reasons and doubts.

    With `sweep` (see `plan_from_sweep`) the basis is "sweep"; else `base` and `anchor` are needed (see
    `plan_from_prior`) and the basis is "prior". Raises RecipeError or DataError for what cannot be planned.
    """
    if sweep:
        return plan_from_sweep(
            budget, sweep, in_rollouts, target=target, batch=batch, max_extrapolation=max_extrapolation,
            resamples=resamples,
        )  # fmt: skip
    if base is None or anchor is None:
        raise RecipeError(
            "A plan needs a sweep, or a measured base model and the recipe's learning rate.",
            "Give `sweep`, or `base` and `anchor`.",
        )
    return plan_from_prior(budget, base, anchor, target, batch, kept)
