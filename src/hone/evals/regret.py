"""Normalised regret of thinking: how much success is given up, over a budget of tokens, by answering along the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hone.core.errors import DataError
from hone.evals.estimators import maj_at_k

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AnswerCurve:
    """One thinking trace, stopped at several places and made to answer: `success[i]`, in [0, 1], after `tokens[i]`.

    `tokens` count the trace up to the place and the forced answer (its mean length, where several were drawn). They
    rise, not necessarily strictly. Raises DataError for anything else.
    """

    tokens: Floats
    success: Floats

    def __post_init__(self) -> None:
        tokens, success = np.asarray(self.tokens, float), np.asarray(self.success, float)
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "success", success)
        if tokens.ndim != 1 or tokens.shape != success.shape or len(tokens) == 0:
            raise DataError(
                f"A curve has {tokens.shape} tokens and {success.shape} successes.",
                "Give one of each a point.",
            )
        if not (np.isfinite(tokens).all() and np.isfinite(success).all()):
            raise DataError("A curve has a value that is not finite.", "Leave out what was not measured.")
        if (np.diff(tokens) < 0).any() or tokens[0] < 0:
            raise DataError("The tokens of a curve fall, or are negative.", "Order its points by tokens.")
        if (success < 0).any() or (success > 1).any():
            raise DataError("A curve has a success outside [0, 1].", "Give the share of right answers.")


def success_area(curve: AnswerCurve, cutoff: float) -> float:
    """Mean success over budgets from 0 to `cutoff` tokens: the area under the curve divided by `cutoff`.

    (0, 0) is put before the first point; between points success is a straight line (trapezoid rule); at the cutoff it
    is read off that line; after the last point it stays as it is. Raises DataError for a cutoff that is not positive.
    """
    if not 0 < cutoff < float("inf"):
        raise DataError(f"The cutoff is {cutoff}.", "Give a positive number of tokens.")
    tokens = np.concatenate([[0.0], curve.tokens])
    success = np.concatenate([[0.0], curve.success])
    last = int(np.searchsorted(tokens, cutoff, side="right"))  # points up to the cutoff, itself included
    at_cutoff = success[-1]
    if last < len(tokens):
        share = (cutoff - tokens[last - 1]) / (tokens[last] - tokens[last - 1])
        at_cutoff = success[last - 1] + share * (success[last] - success[last - 1])
    tokens, success = np.append(tokens[:last], cutoff), np.append(success[:last], at_cutoff)
    return float(np.trapezoid(success, tokens) / cutoff)


def normalised_regret(problems: Sequence[Sequence[AnswerCurve]], cutoffs: Sequence[float]) -> Floats:
    """`[P, C]`: 1 - `success_area`, averaged over the traces of each problem, at each cutoff.

    The comparator is a success of 1 at every budget, so it is no regret against what a policy could reach: it compares
    policies on the same problems. Average over P for the number of Qu et al. 2025 (arXiv 2503.07572; written from a
    description of their notebook). Raises DataError for a problem without a trace.
    """
    if any(len(traces) == 0 for traces in problems):
        raise DataError("A problem has no trace.", "Leave it out, and say how many were left out.")
    areas = [[np.mean([success_area(c, cut) for c in traces]) for cut in cutoffs] for traces in problems]
    return 1.0 - np.array(areas, dtype=float).reshape(len(problems), len(cutoffs))


def success_at(problems: Sequence[Sequence[AnswerCurve]], budgets: Sequence[float]) -> Floats:
    """`[P, B]`: mean success of a problem's traces where each must have answered within a budget of tokens.

    A trace counts with its last point that fits the budget, and as a failure where none does.
    """
    found = np.zeros((len(problems), len(budgets)))
    for p, traces in enumerate(problems):
        for curve in traces:
            fits = np.searchsorted(curve.tokens, np.asarray(budgets, float), side="right")
            found[p] += np.concatenate([[0.0], curve.success])[fits] / len(traces)
    return found


def majority_curve(counts: Sequence[npt.ArrayLike], correct: Sequence[npt.ArrayLike], p: int) -> Floats:
    """maj@p of the answers forced after 0, 1, 2, ... episodes of one trace.

    `counts[j]` are the sizes of the clusters of equal answers after j episodes, `correct[j]` which of them is right:
    the arguments of `maj_at_k`.
    """
    if len(counts) != len(correct):
        raise DataError(f"{len(counts)} counts but {len(correct)} verdicts.", "Give one of each a place.")
    return np.array([maj_at_k(c, r, p) for c, r in zip(counts, correct)])
