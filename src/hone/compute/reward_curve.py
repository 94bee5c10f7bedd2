"""Reward against compute: ScaleRL's sigmoid by its own protocol, a free sigmoid, and a power law to compare with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hone.compute.curve_search import A_STEP, EFFICIENCY, Form, Found, Search, midpoints, search, shape_of
from hone.compute.end_values import lowest_end
from hone.compute.pooling import Pooled, pool
from hone.compute.series import Unit, check_readings
from hone.core.errors import DataError

MAX_EXTRAPOLATION = 4.0
LEAST_POINTS = 5  # at positive compute
_AT_TOP = 0.02  # ScaleRL's margin on A
_VAGUE = 0.05  # an initial reading of a larger standard deviation is doubted


@dataclass(frozen=True)
class Prediction:
    """A predicted reward, and how many times the largest compute of the data it is asked at (1 or less: within)."""

    compute: float
    reward: float
    extrapolation: float


@dataclass(frozen=True)
class RewardFit:
    """A fitted curve, with the unit of its compute.

    "scalerl" and "sigmoid": R(C) = R0 + (A - R0) / (1 + (C_mid / C)^B). "power": R(C) = A - D / C^B, where C_mid and R0
    are nan; D is nan for the others. `A` is the asymptote, `B` the efficiency, `C_mid` the compute at half way.
    `min_compute` and `max_compute` bound the readings that were fitted, `points` counts them after those
    within 2% of compute are merged, and `rmse` is the root mean squared residual of these. `doubts` say why the
    parameters are not identified, and are empty if they are.
    """

    form: Form
    unit: Unit
    A: float
    B: float
    C_mid: float
    R0: float
    D: float
    rmse: float
    points: int
    min_compute: float
    max_compute: float
    doubts: tuple[str, ...]

    @property
    def identified(self) -> bool:
        """Whether the data pin the parameters down."""
        return not self.doubts

    def reward_at(self, compute: npt.ArrayLike) -> Any:
        """The curve at a compute (a float or an array), wherever that is: for figures."""
        return curve(self.form, compute, self.A, self.B, self.C_mid, self.R0, self.D)

    def predict(self, compute: float, *, max_extrapolation: float = MAX_EXTRAPOLATION) -> Prediction:
        """The reward at `compute`. DataError more than `max_extrapolation` times beyond the largest compute fitted."""
        factor = extrapolation(compute, self.max_compute, max_extrapolation, self.unit)
        return Prediction(float(compute), float(self.reward_at(compute)), factor)


def extrapolation(compute: float, largest: float, most: float, unit: str) -> float:
    """How many times `largest` the compute is; DataError if that is more than `most`."""
    if not compute > 0:
        raise DataError(f"A prediction at {compute:g} {unit}.", "Ask at a positive compute.")
    factor = float(compute / largest)
    if factor > most:
        raise DataError(
            f"A prediction at {compute:g} {unit} is {factor:.3g} times beyond the data, which end at {largest:g}.",
            f"Ask at up to {most:g} times, run longer, or raise `max_extrapolation`.",
        )
    return factor


def curve(
    form: Form,
    compute: npt.ArrayLike,
    A: npt.ArrayLike,
    B: npt.ArrayLike,
    C_mid: npt.ArrayLike,
    R0: npt.ArrayLike,
    D: npt.ArrayLike,
) -> Any:
    """The formula of a form at a compute; all may be arrays that broadcast together."""
    c, a, b, mid, r0, d = (np.asarray(x, dtype=np.float64) for x in (compute, A, B, C_mid, R0, D))
    with np.errstate(divide="ignore", over="ignore"):
        value = a - d / c**b if form == "power" else r0 + (a - r0) / (1 + (mid / c) ** b)
    return float(value) if np.ndim(value) == 0 else value


def fit_reward_curve(
    compute: npt.ArrayLike,
    reward: npt.ArrayLike,
    *,
    unit: Unit,
    form: Form = "scalerl",
    r0: float | Literal["fit"] | None = None,
    problems: npt.ArrayLike | None = None,
    min_compute: float = 0.0,
) -> RewardFit:
    """Fit reward against compute by least squares; readings of several runs may be given together.

    "scalerl" is the published protocol: A on a grid of 0.005, C_mid on a log-spaced grid from the smallest compute to
    10 times the largest, B > 0 by least squares in each cell, R0 held fixed, the cell with the least squares wins.
    The published grids are replaced by ones in the data's unit: A from R0 to 1 (not 0.45 to 0.8), C_mid log-spaced
    (not linear in GPU-hours). "sigmoid" is the same family with all four parameters free, monotone by construction
    (A >= R0): the paper on n*(C) fits "a monotone sigmoid of reward" but does not print its parametrisation. "power"
    is A - D / C^B with A <= 1.

    `r0` None takes the mean reading at compute 0 (the initial model; noisy if few problems stand behind it), a number
    is held fixed, "fit" makes it free; "sigmoid" is always free and "power" has none. `problems` are the weights.
    Readings below `min_compute` are left out (ScaleRL leaves out the first epoch), but still tell R0.

    A fit is not identified, and says why in `doubts`, if the best cell is on the edge of the grid or the data end
    before C_mid, or if R0 was read from so few problems that its standard deviation is above 0.05. A = 1 is such an
    edge unless the curve has come within 0.02 of it.

    Sources: ScaleRL (arXiv 2510.13786); IsoCompute Playbook (arXiv 2603.12151). DataError for readings that cannot be
    fitted.
    """
    c, r = np.asarray(compute, dtype=np.float64), np.asarray(reward, dtype=np.float64)
    check_readings(c, r, "Fit")
    weight = np.ones(len(c)) if problems is None else np.asarray(problems, dtype=np.float64)
    if weight.shape != c.shape or not (weight > 0).all():
        raise DataError("`problems` is not one positive count for each reading.", "Leave it out, or mend it.")
    start = starting_reward(c, r, weight, r0, form)
    data = fitted_part(pool(c, r, weight), min_compute, form)
    spec = search_of(form, r0, data.compute)
    found = search(spec, data.compute, data.reward[None], data.weight[None], np.array([start]))
    fit = described(spec, data, found, unit, float(c.max()))
    return replace(fit, doubts=(*fit.doubts, *vague_start(c, start, problems))) if r0 is None else fit


def starting_reward(
    c: np.ndarray, r: np.ndarray, weight: np.ndarray, r0: float | Literal["fit"] | None, form: Form
) -> float:
    """The fixed R0: given, or the mean reading at compute 0; nan where it is fitted. DataError if there is none."""
    if r0 == "fit" or form != "scalerl":
        return float("nan")
    if r0 is not None:
        if not 0 <= float(r0) < 1:
            raise DataError(f"`r0` is {r0}.", "It is a pass rate: at least 0, below 1.")
        return float(r0)
    first = c == 0
    if not first.any():
        raise DataError(
            "No reading at compute 0 tells the initial model's reward.", 'Give `r0`, or `r0="fit"`.'
        )
    return float(np.average(r[first], weights=weight[first]))


def vague_start(c: np.ndarray, start: float, problems: npt.ArrayLike | None) -> tuple[str, ...]:
    """The doubt about an R0 that was read from too few problems; none if it was fitted, or problems are unknown."""
    if problems is None or np.isnan(start):
        return ()
    count = float(np.asarray(problems, dtype=np.float64)[c == 0].sum())
    inner = float(np.clip(start, 1 / (count + 1), count / (count + 1)))
    deviation = np.sqrt(inner * (1 - inner) / count)
    if deviation <= _VAGUE:
        return ()
    return (f'R0 was read from {count:g} problems (+-{deviation:.2g}): give `r0`, or r0="fit"',)


def fitted_part(data: Pooled, min_compute: float, form: Form) -> Pooled:
    """What is left from `min_compute` on; a power law has no value at 0. DataError if it is too little."""
    used = (data.compute >= min_compute) & ((data.compute > 0) | (form == "sigmoid"))
    if (used & (data.compute > 0)).sum() < LEAST_POINTS:
        raise DataError(
            f"{used.sum()} readings from compute {min_compute:g} on, of {len(data.compute)}.",
            f"A curve needs {LEAST_POINTS} at different positive compute: run longer, or read more often.",
        )
    return Pooled(data.compute[used], data.reward[used], data.weight[used])


def search_of(form: Form, r0: float | Literal["fit"] | None, compute: np.ndarray) -> Search:
    """What has to be searched for a form."""
    fixed = form == "scalerl" and r0 != "fit"
    return Search(form, fixed, A_STEP if fixed else None, midpoints(compute))


def described(spec: Search, data: Pooled, found: Found, unit: Unit, largest: float) -> RewardFit:
    """The first replicate of `found` as a fit, with what is doubtful about it."""
    start, end, mid, efficiency, loss = (float(column[0]) for column in found)
    power = spec.form == "power"
    first = float(data.compute[0])
    return RewardFit(
        form=spec.form,
        unit=unit,
        A=end,
        B=efficiency,
        C_mid=mid,
        R0=float("nan") if power else start,
        D=(end - start) * first**efficiency if power else float("nan"),
        rmse=float(np.sqrt(max(loss, 0.0) / data.weight.sum())),
        points=len(data.compute),
        min_compute=first,
        max_compute=largest,
        doubts=_doubts(spec, first, largest, start, end, mid, efficiency),
    )


def _doubts(
    spec: Search, first: float, largest: float, start: float, end: float, mid: float, efficiency: float
) -> tuple[str, ...]:
    reached = start + (end - start) * float(
        shape_of(spec.form, np.array([largest]), np.array(mid), np.array(efficiency), first)[0]
    )
    doubts = []
    lowest = start if spec.a_step is None else float(lowest_end(np.array(start), spec.a_step))
    if end <= lowest + 1e-9:
        doubts.append("the reward does not rise: A is at the lower edge of its grid")
    if end >= 1 - 1e-9 and reached < 1 - _AT_TOP:
        doubts.append("A is at the upper edge of its grid, 1, which the data do not reach")
    if efficiency <= EFFICIENCY[0] * (1 + 1e-6):
        doubts.append("B is at its lower bound: the reward hardly bends")
    if efficiency >= EFFICIENCY[1] * (1 - 1e-6):
        doubts.append("B is at its upper bound: the data are a step")
    if spec.form != "power":
        if mid <= spec.mids[0] * (1 + 1e-9):
            doubts.append(
                "C_mid is at the lower edge of its grid: most of the rise is before the first reading"
            )
        if mid > largest:
            doubts.append("the data end before C_mid")
    return tuple(doubts)
