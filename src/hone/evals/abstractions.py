"""Abstractions at test time: success without, with the average and with the best one, and how to spend a budget."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from hone.core.errors import DataError, RecipeError
from hone.evals.estimators import pass_at_k
from hone.evals.intervals import Interval, mean_interval

Floats = npt.NDArray[np.float64]
ORACLE = (
    "`best` picks the abstraction of each problem after its answers were judged: an oracle number, to be set against "
    "pass@k without abstractions, never against pass@1."
)


def abstraction_table(
    correct: npt.ArrayLike, samples: int, bare_correct: npt.ArrayLike, bare_samples: int, *, seed: int = 0
) -> Mapping[str, Interval]:
    """`w/o`, `avg`, `best` and `w/o pass@k` with 95% intervals over problems.

    `correct[P, K]` counts right answers among `samples` to each of K abstractions of P problems, `bare_correct[P]`
    those among `bare_samples` without one. `avg` is the mean over abstractions of pass@1. `best` is the highest of
    the K pass@1 of each problem, chosen knowing the verdicts (`ORACLE`); with few samples the highest of noisy rates
    is above the rate of the best abstraction. `w/o pass@k`, k = K where there are as many bare samples, is what it is
    fairly set against. Source: RLAD (arXiv 2510.02263), section 6.
    """
    right, n = _grid(correct, samples), samples
    bare = _grid(np.asarray(bare_correct)[:, None], bare_samples)[:, 0]
    if len(bare) != len(right):
        raise DataError(
            f"{len(right)} problems with abstractions, {len(bare)} without.", "Count the same ones."
        )
    k = min(right.shape[1], bare_samples)
    rows = {
        "w/o": bare / bare_samples,
        "avg": (right / n).mean(axis=1),
        "best": (right / n).max(axis=1),
        f"w/o pass@{k}": np.asarray(pass_at_k(bare_samples, bare, k)),
    }
    return {name: mean_interval(values, seed=seed) for name, values in rows.items()}


def allocation_success(
    rates: npt.ArrayLike, abstractions: int, solutions: int, weights: npt.ArrayLike | None = None
) -> Any:
    """S(m, k) = 1 - (E_z (1 - p(z))^k)^m: at least one of m·k answers right, k to each of m abstractions.

    `rates[..., K]` are the pass rates p(z) of the K possible abstractions, drawn independently with probabilities
    `weights[..., K]` (default: even). A float, or an array over the leading axes. At a fixed C = m k it never rises
    with k: (1 - S)^(1/C) is the L_k norm of 1 - p, so all the budget on abstractions is never worse, and strictly
    better unless p is the same for all of them.
    """
    _check_counts(abstractions, solutions)
    p = np.asarray(rates, dtype=np.float64)
    if ((p < 0) | (p > 1)).any():
        raise DataError("`rates` has a value outside of [0, 1].", "Give pass rates.")
    w = np.full(p.shape, 1 / p.shape[-1]) if weights is None else np.asarray(weights, dtype=np.float64)
    failed: Floats = 1 - ((w * (1 - p) ** solutions).sum(axis=-1)) ** abstractions
    return float(failed) if failed.ndim == 0 else failed


def allocation_estimate(
    correct: npt.ArrayLike, samples: int, abstractions: int, solutions: int
) -> npt.NDArray[np.float64]:
    """`[P]` unbiased estimates of S(m, k), from `correct[P, K]` right answers of `samples` to K sampled abstractions.

    One minus the mean over m-subsets of the abstractions of the product of C(n - c, k)/C(n, k), each of which is
    unbiased for (1 - p(z))^k; abstractions are independent, so the product is unbiased for a power of the
    expectation. The sum over subsets is an elementary symmetric polynomial. RecipeError if m > K or k > n.
    """
    _check_counts(abstractions, solutions)
    right = _grid(correct, samples)
    drawn = right.shape[1]
    if abstractions > drawn:
        raise RecipeError(
            f"{abstractions} abstractions of {drawn} that were sampled.",
            "An unbiased estimate needs as many as it draws: sample more, or ask for fewer.",
        )
    failed = 1 - np.asarray(pass_at_k(samples, right, solutions), dtype=np.float64)
    # means[:, j] is the mean over j-subsets of the abstractions seen so far of their product.
    means = np.zeros((len(right), abstractions + 1))
    means[:, 0] = 1.0
    for seen in range(1, drawn + 1):
        for j in range(min(abstractions, seen), 0, -1):
            means[:, j] += j / seen * (failed[:, seen - 1] * means[:, j - 1] - means[:, j])
    return 1 - means[:, abstractions]


def allocation_table(correct: npt.ArrayLike, samples: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """S(m, k) with a 95% interval over problems, for every m and k that are powers of two and can be estimated.

    Rows hold `budget` = m k, `abstractions` m, `solutions` k and `success`; the tokens of the abstractions themselves
    are not in the budget.
    """
    right = _grid(correct, samples)
    rows = [
        {
            "budget": m * k,
            "abstractions": m,
            "solutions": k,
            "success": mean_interval(np.clip(allocation_estimate(right, samples, m, k), 0, 1), seed=seed),
        }
        for m, k in product(_powers(right.shape[1]), _powers(samples))
    ]
    return sorted(rows, key=lambda row: (row["budget"], -row["abstractions"]))


def _powers(limit: int) -> list[int]:
    return [1 << i for i in range(limit.bit_length())]


def _grid(correct: npt.ArrayLike, samples: int) -> npt.NDArray[np.int64]:
    counts = np.asarray(correct)
    if counts.ndim != 2 or counts.size == 0:
        raise DataError(
            f"Counts have shape {counts.shape}.", "Give one row a problem, one column an abstraction."
        )
    if not np.array_equal(counts, np.round(counts)) or (counts < 0).any() or (counts > samples).any():
        raise DataError(f"A count is no whole number from 0 to {samples}.", "Count right answers.")
    return counts.astype(np.int64)


def _check_counts(abstractions: int, solutions: int) -> None:
    if abstractions < 1 or solutions < 1:
        raise RecipeError(
            f"{abstractions} abstractions with {solutions} solutions each.", "Both are at least 1."
        )
