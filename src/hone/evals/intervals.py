"""Intervals: over seeds by Student's t, over problems by cluster bootstrap, at the boundary by Wilson."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from hone.core.errors import DataError, RecipeError

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate with its confidence limits; floats, or arrays of one shape."""

    value: Any
    low: Any
    high: Any


def wilson(successes: float, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; within [0, 1] and of positive width also at 0 and `trials`
    successes.

    `successes` may be fractional: a mean of values in [0, 1] has at most the variance of a proportion.
    Source: Wilson 1927.
    """
    from scipy.special import ndtri

    _check_confidence(confidence)
    if trials < 1 or not 0 <= successes <= trials:
        raise DataError(
            f"{successes} successes in {trials} trials.", "It needs 0 <= successes <= trials, trials >= 1."
        )
    z = float(ndtri(0.5 + confidence / 2))
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * np.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2))
    return Interval(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)))


def t_interval(values: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean of independent replicates (seeds) with Student's t limits; at least two, else DataError."""
    from scipy.special import stdtrit

    _check_confidence(confidence)
    x = _finite(values)
    if len(x) < 2:
        raise DataError(f"A t-interval got {len(x)} value(s).", "It needs at least two seeds.")
    half = float(stdtrit(len(x) - 1, 0.5 + confidence / 2)) * x.std(ddof=1) / np.sqrt(len(x))
    return Interval(float(x.mean()), float(x.mean() - half), float(x.mean() + half))


def cluster_bootstrap(
    values: npt.ArrayLike, confidence: float = 0.95, *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean over problems with percentile limits from resampling whole problems.

    `values[P]`, or `values[P, K]` for K quantities that share the resamples, are one number per problem: its
    pass@k, say, whatever the number of samples behind it. The samples of a problem are not independent of
    each other, so problems are what is resampled. The same `seed` gives the same limits.
    """
    _check_confidence(confidence)
    x = _finite(values)
    if len(x) == 0:
        raise DataError("A bootstrap got no problems.", "It needs at least one.")
    problems = len(x)
    draws = np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), size=resamples)
    means = draws @ x / problems
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    value = x.mean(axis=0)
    return Interval(float(value), float(low), float(high)) if x.ndim == 1 else Interval(value, low, high)


def mean_interval(
    values: npt.ArrayLike, confidence: float = 0.95, *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean over problems of values in [0, 1]: the bootstrap, or Wilson near 0 and 1.

    Wilson with P trials where the values amount to fewer than 5 successes or fewer than 5 failures: there the
    bootstrap sees too few of the rarer kind, and none at all when all values are equal, where its width is 0.
    """
    x = _finite(values)
    if x.ndim != 1 or (x < 0).any() or (x > 1).any():
        raise DataError(
            "`values` is not one number in [0, 1] per problem.", "Give the rates of the problems."
        )
    total = float(x.sum())
    if len(x) > 0 and min(total, len(x) - total) < 5:
        return wilson(min(total, float(len(x))), len(x), confidence)
    return cluster_bootstrap(x, confidence, resamples=resamples, seed=seed)


def paired_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    over: Literal["seeds", "problems"],
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of a - b, entry by entry the same seed or the same problem in both; t over seeds, bootstrap over
    problems."""
    x, y = _finite(a), _finite(b)
    if x.shape != y.shape:
        raise DataError(
            f"Paired values have shapes {x.shape} and {y.shape}.", "Pair them by seed or problem."
        )
    if over == "seeds":
        return t_interval(x - y, confidence)
    if over == "problems":
        return cluster_bootstrap(x - y, confidence, resamples=resamples, seed=seed)
    raise RecipeError(f"`over` is {over!r}.", "It must be 'seeds' or 'problems'.")


def _finite(values: npt.ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all():
        raise DataError("An interval got a value that is not finite.", "Leave out what was not measured.")
    return x


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise RecipeError(f"`confidence` is {confidence!r}.", "It must be between 0 and 1.")
