"""Unbiased pass@k, worst@k and maj@k: averages over all k-subsets of the samples of a problem, without
replacement."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hone.core.errors import DataError, RecipeError

Floats = npt.NDArray[np.float64]


def pass_at_k(num_samples: npt.ArrayLike, num_correct: npt.ArrayLike, k: int) -> Any:
    """Share of k-subsets with at least one correct sample: 1 - C(n-c, k)/C(n, k).

    `num_samples` n and `num_correct` c are integers or arrays (one entry a problem, broadcast together); the
    result is a float or an array. Unbiased for 1 - (1-p)^k. RecipeError if k exceeds a problem's samples.
    Source: Chen et al. 2021 (arXiv 2107.03374).
    """
    n, c = _counts(num_samples, num_correct, k)
    return _plain(1 - _share_within(n - c, n, k))


def worst_at_k(num_samples: npt.ArrayLike, num_correct: npt.ArrayLike, k: int) -> Any:
    """Share of k-subsets in which every sample is correct: C(c, k)/C(n, k); arguments as for `pass_at_k`.

    Unbiased for p^k.
    """
    n, c = _counts(num_samples, num_correct, k)
    return _plain(_share_within(c, n, k))


def maj_at_k(counts: npt.ArrayLike, correct: npt.ArrayLike, k: int) -> float:
    """Probability that the most frequent answer of a random k-subset is correct.

    `counts` are the sizes of one problem's clusters of equal answers, `correct` a bool for each cluster or
    the index of the one correct cluster. A tie is decided by a fair draw among the most frequent answers: its
    expected value is taken, the share of correct ones among them. A cluster of samples without an answer is a
    cluster like any other, or is left out by the caller, which lets those samples abstain.

    Exact. With counts drawn as independent binomials of success k/n, conditioning on their sum being k gives
    the draw without replacement; so for each height j of the winner, the probability that it has j and no
    other cluster more is a product of truncated binomial polynomials, all terms positive. The divisor 1 / (1
    + t) for t others of the same height is the integral of x^t over [0, 1], done exactly by Gauss-Legendre
    nodes.
    """
    sizes, right = _clusters(counts, correct, k)
    total = int(sizes.sum())
    if k == total:
        return float(right[sizes == sizes.max()].mean())
    if not right.any():
        return 0.0
    odds = k / total
    share = 0.0
    for height in range(1, min(k, int(sizes[right].max())) + 1):
        if np.minimum(sizes, height).sum() >= k:
            share += _wins_at(height, sizes, right, k, odds)
    return float(min(share / _binomial(total, k, odds)[k], 1.0))


def _wins_at(
    height: int, sizes: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], k: int, odds: float
) -> float:
    """Probability that the tallest cluster has `height` samples, the drawn one of the tallest is correct, sum
    = k."""
    nodes, weights = _unit_interval(k // height // 2 + 1)
    tall = sizes >= height
    # Clusters that cannot reach the height are unrestricted: together they are one binomial.
    open_ = np.tile(_binomial(int(sizes[~tall].sum()), k, odds), (len(nodes), 1))
    won = np.zeros_like(open_)
    order = np.argsort(right[tall], kind="stable")  # until the first correct one, nothing is won
    for size, is_right in zip(sizes[tall][order], right[tall][order]):
        mass = _binomial(int(size), k, odds)
        lower, reaching = _shifted(mass[:height], k), mass[height] * nodes[:, None]
        if is_right:
            won = _multiply(won, lower, reaching, height)
            won[:, height:] += open_[:, : k + 1 - height] * mass[height]
        open_ = _multiply(open_, lower, reaching, height)
    return float(weights @ won[:, k])


def _multiply(table: Floats, lower: Floats, reaching: Floats, height: int) -> Floats:
    """Row by row, the product of a polynomial and of a cluster's: its `lower` powers, and `reaching[rows, 1]`."""
    out = table @ lower
    out[:, height:] += table[:, : table.shape[1] - height] * reaching
    return out


def _shifted(coefficients: Floats, degree: int) -> Floats:
    """The matrix by which a row of coefficients is multiplied with a polynomial, cut off at `degree`."""
    padded = np.zeros(2 * degree + 1)
    padded[degree : degree + len(coefficients)] = coefficients
    return padded[_shifts(degree)]


@cache
def _shifts(degree: int) -> npt.NDArray[np.int64]:
    """Where the entries of such a matrix lie among the coefficients, with `degree` zeros before the first."""
    return np.arange(degree + 1) - np.arange(degree + 1)[:, None] + degree


@cache
def _unit_interval(count: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on [0, 1], exact for polynomials of degree 2 count - 1."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=4096)
def _binomial(trials: int, upto: int, odds: float) -> Floats:
    """P(X = 0), ..., P(X = upto) for X binomial; zeros beyond `trials`. Not to be written to."""
    from scipy.special import gammaln

    i = np.arange(min(trials, upto) + 1)
    log = gammaln(trials + 1) - gammaln(i + 1) - gammaln(trials - i + 1)
    out = np.zeros(upto + 1)
    out[: len(i)] = np.exp(log + i * np.log(odds) + (trials - i) * np.log1p(-odds))
    return out


def _share_within(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64], k: int) -> Floats:
    """C(part, k) / C(whole, k), as a product of k ratios: nothing overflows."""
    steps = np.arange(k)
    ratios = np.maximum(part[..., None] - steps, 0) / (whole[..., None] - steps)
    return np.asarray(ratios.prod(axis=-1))


def _plain(values: Floats) -> Any:
    return float(values) if values.ndim == 0 else values


def _counts(
    num_samples: npt.ArrayLike, num_correct: npt.ArrayLike, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    n, c = np.broadcast_arrays(_integers("num_samples", num_samples), _integers("num_correct", num_correct))
    if ((c < 0) | (c > n)).any():
        raise DataError(
            "`num_correct` is below 0 or above `num_samples`.", "Count correct samples of each problem."
        )
    _check_k(k, int(n.min()) if n.size else k)
    return n, c


def _clusters(
    counts: npt.ArrayLike, correct: npt.ArrayLike, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    sizes = _integers("counts", counts)
    right = np.asarray(correct)
    if right.dtype != np.bool_:
        right = np.arange(len(sizes)) == right
    if sizes.ndim != 1 or right.shape != sizes.shape:
        raise DataError(
            f"`counts` has shape {sizes.shape} and `correct` {right.shape}.",
            "Give the sizes of one problem's clusters, and a bool for each or the index of the correct one.",
        )
    if (sizes < 0).any():
        raise DataError("`counts` has a negative size.", "Count the samples of each cluster.")
    _check_k(k, int(sizes.sum()))
    return sizes, right


def _integers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    if not np.array_equal(array, np.round(array.astype(np.float64))):
        raise DataError(f"`{name}` has a value that is not a whole number.", "It counts samples.")
    return array.astype(np.int64)


def _check_k(k: int, samples: int) -> None:
    if not 1 <= k <= samples:
        raise RecipeError(
            f"k is {k} with {samples} samples of a problem.",
            "An unbiased estimate needs 1 <= k <= samples: sample more answers, or ask for a smaller k.",
        )
