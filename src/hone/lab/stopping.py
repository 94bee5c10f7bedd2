"""Groups that end early: weights under which the update stays unbiased, and the bias of those without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hone.core.options import require_choice

if TYPE_CHECKING:
    from jaxtyping import Float

RULES = ("fixed", "first_success", "signal")


def first_success_table(largest: int) -> Float[np.ndarray, "n k 2"]:
    """Advantages for groups that end with their first success, or without one after `largest` rollouts.

    The success of a group of n has advantage n, so that averaged over the group its score has weight 1; failures have
    0. Given that a rollout succeeds, its expected score is grad log p, whatever came before it; a group ends with a
    success with probability 1 - (1-p)^largest. The expectation is therefore the gradient of MaxRL's objective of
    order `largest`, exactly, for (1 - (1-p)^largest)/p rollouts instead of `largest`. Derived here.
    """
    table = np.zeros((largest + 1, largest + 1, 2))
    table[:, 1, 0] = np.arange(largest + 1)
    return table


def outcomes(rule: str, largest: int, p: float) -> list[tuple[int, int, float]]:
    """(size, successes, probability) of every way in which a group can end, at pass rate `p`.

    `rule` is `fixed` (always `largest` rollouts), `first_success`, or `signal` (one success and one failure).
    """
    require_choice("rule", rule, RULES)
    from scipy.stats import binom

    q = 1 - p
    if rule == "fixed":
        return [(largest, k, float(binom.pmf(k, largest, p))) for k in range(largest + 1)]
    if rule == "first_success":
        return [(n, 1, q ** (n - 1) * p) for n in range(1, largest + 1)] + [(largest, 0, q**largest)]
    ends = [(largest, 0, q**largest), (largest, largest, p**largest)]
    for n in range(2, largest + 1):
        ends += [(n, 1, q ** (n - 1) * p), (n, n - 1, p ** (n - 1) * q)]
    return ends


def weight(table: Float[np.ndarray, "n k 2"], rule: str, largest: int, p: float) -> float:
    """The factor c(p) with which a group's expected update is c(p) grad p, exactly.

    The mean score of a success is grad p / p, of a failure -grad p / (1-p), also in groups that end early: the
    rule looks at rewards alone.
    """
    total = 0.0
    for n, k, chance in outcomes(rule, largest, p):
        success, failure = table[n, k]
        total += chance * (k * success / p - (n - k) * failure / (1 - p)) / n
    return total


def expected_size(rule: str, largest: int, p: float) -> float:
    """Rollouts that a group costs on average."""
    return sum(n * chance for n, _, chance in outcomes(rule, largest, p))
