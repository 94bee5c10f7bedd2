"""Variance-optimal allocation: rollouts in proportion to the spread of a problem's rewards."""

from __future__ import annotations

from dataclasses import dataclass

from hone.curricula.allocation import Allocation
from hone.curricula.posterior import Counts, power_mean


@dataclass(frozen=True)
class VarianceOptimal(Allocation):
    """n_q in proportion to E[√(p_q (1 − p_q))], num_generations x problems_per_step rollouts in all.

    The mean over P problems of estimates with variance σ_q² / n_q has variance Σ σ_q² / n_q / P², least for n_q
    proportional to σ_q (Neyman 1934). One rollout's (r − p) ∇log π has variance p (1 − p) times the mean square of the
    score, which is taken to be equal for all problems. The expectation is over the posterior of p.

    With `problem_sum` every problem counts once, whatever its share: the expected update is the gradient of the mean of
    the problems' objectives, as for `uniform`. A piece whose objective depends on the size of its group (published
    `maxrl` ascends order n_q − 1) ascends another one for each problem; `maxrl` with an `order` of at most
    `min_generations` does not.
    """

    def spread(self, counts: Counts, key: str) -> float:
        """E[√(p (1 − p))]."""
        return power_mean(counts, key, 0.5, 0.5)
