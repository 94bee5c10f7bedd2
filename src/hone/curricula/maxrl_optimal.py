"""MaxRL-optimal allocation: rollouts in proportion to the spread of the estimate of ∇log p."""

from __future__ import annotations

from dataclasses import dataclass

from hone.curricula.allocation import Allocation
from hone.curricula.posterior import Counts, power_mean


@dataclass(frozen=True)
class MaxrlOptimal(Allocation):
    """n_q in proportion to E[√((1 − p_q) / p_q)], num_generations x problems_per_step rollouts in all.

    ∇log p is ∇p / p, so that one rollout's (r − p) / p ∇log π has variance (1 − p) / p times the mean square of the
    score: `variance_optimal` for the objective log p. It grows without bound as p falls, where a finite order (1 / p up
    to n) no longer does and nothing is learnt from all but hopeless problems. So the share is bounded by
    `max_generations`, and the posterior's prior weighs in: a problem unknown has √((1 − p) / p) of mean π/2.

    For `maxrl`. With `problem_sum` every problem counts once. The published form ascends order n_q − 1, which then
    differs from problem to problem, higher for hard ones: an `order` of at most `min_generations` is the same for all.
    """

    def spread(self, counts: Counts, key: str) -> float:
        """E[√((1 − p) / p)]."""
        return power_mean(counts, key, -0.5, 0.5)
