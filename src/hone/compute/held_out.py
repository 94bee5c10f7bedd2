"""How well a curve through the first half of the runs predicts the second: ScaleRL's own check of its fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hone.compute.curve_search import Form
from hone.compute.reward_curve import fit_reward_curve
from hone.compute.scatter import scatter, variance
from hone.compute.series import Series, check_comparable
from hone.core.errors import DataError

FITTED = 1 / 2  # of the largest compute
EARLY = 1 / 16  # of the largest compute, which a fit without the early readings leaves out


@dataclass(frozen=True)
class HeldOut:
    """The prediction of readings beyond `fitted_to` compute by a fit to those from `fitted_from` up to there.

    `rmse` is between predictions and `held` held-out readings; `noise` is what it would be if the prediction were the
    truth and readings scattered around it as the fitted ones do around theirs. `bias` is the mean of prediction minus
    reading, and `end` that over the last eighth of compute. All in reward, weighted by problems.
    """

    form: Form
    fitted_from: float
    fitted_to: float
    fitted: int
    held: int
    rmse: float
    noise: float
    bias: float
    end: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))


def hold_out(
    series: Sequence[Series], form: Form, *, early: bool = True, r0: float | Literal["fit"] | None = None
) -> HeldOut:
    """Fit the readings of a recipe's runs up to half of the largest compute, and predict the rest.

    With `early` False, readings below 1/16 of the largest compute are left out of the fit (ScaleRL leaves out the
    first epoch); they still tell R0. `r0` is as for `fit_reward_curve`. Source: ScaleRL (arXiv 2510.13786). DataError
    if a half has too few readings.
    """
    check_comparable(series)
    compute, reward, problems = (
        np.concatenate([getattr(run, name) for run in series]).astype(np.float64)
        for name in ("compute", "reward", "problems")
    )
    largest = float(compute.max())
    first, rest = compute <= FITTED * largest, compute > FITTED * largest
    if not rest.any() or not first.any():
        raise DataError("A half of the compute has no reading.", "Read more often, or run longer.")
    start = 0.0 if early else EARLY * largest
    fit = fit_reward_curve(
        compute[first], reward[first], unit=series[0].unit, form=form, r0=r0, problems=problems[first],
        min_compute=start,
    )  # fmt: skip
    predicted = np.asarray(fit.reward_at(compute[rest]))
    gap, weight = predicted - reward[rest], problems[rest]
    late = compute[rest] > 7 / 8 * largest
    used = first & (compute >= start) & (compute > 0)
    spread = scatter(reward[used], fit.reward_at(compute[used]), problems[used])
    return HeldOut(
        form=form,
        fitted_from=start,
        fitted_to=FITTED * largest,
        fitted=int((first & (compute >= start)).sum()),
        held=int(rest.sum()),
        rmse=float(np.sqrt(np.average(gap**2, weights=weight))),
        noise=float(np.sqrt(spread * np.average(variance(predicted) / weight, weights=weight))),
        bias=float(np.average(gap, weights=weight)),
        end=float(np.average(gap[late], weights=weight[late])),
    )
