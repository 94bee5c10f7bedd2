"""How the best number grows with the budget: the logistic of log2 n*(C), fitted with intervals of its parameters.

The logistic is linear in its height L and floor b, so only slope and midpoint are searched. One table of losses over
these two gives the fit and the profile-likelihood interval of all four parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hone.compute.estimate import CONFIDENCE, Estimate
from hone.compute.logistic import Against, Logistic, regressor
from hone.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float

STEEPEST = 150.0  # bound of k times the range of x: k = 50 over three decades, the bound of the paper
_FLATTEST = 2.0  # below this k times the range of x is hardly bent, and L means nothing
_GRID = 24
_ZOOMS = 3
_NOTHING = 1e-12  # a loss below this is none
_PARAMETERS = 4


@dataclass(frozen=True)
class AllocationFit:
    """The fitted curve, the 95% intervals of its parameters, and what is doubtful about it.

    `log_midpoint` is log10 C_0 against compute, M_0 against steps. `step`: k is at its upper bound, so the data are a
    step at the midpoint and k is no slope. `rmse` is in log2 n; `low` and `high` are the range of compute (or steps)
    of the data.
    """

    curve: Logistic
    L: Estimate
    k: Estimate
    log_midpoint: Estimate
    b: Estimate
    rmse: float
    points: int
    low: float
    high: float
    step: bool
    doubts: tuple[str, ...]

    def at(self, amount: float) -> tuple[float, float]:
        """The best number at a compute (or number of steps), and how many times the largest of the data that is."""
        return float(self.curve.at(amount)), float(amount / self.high)

    def as_dict(self) -> dict[str, Any]:
        """Parameters with limits, unit and doubts, for JSON."""
        values = {name: getattr(self, name).as_dict() for name in ("L", "k", "log_midpoint", "b")}
        k: Any = "step" if self.step else values["k"]
        return {
            **values,
            "k": k,
            "against": self.curve.against,
            "unit": self.curve.unit,
            "doubts": list(self.doubts),
        }


class _Table(NamedTuple):
    """Losses and best linear parameters over slopes and midpoints; all [slopes, midpoints]."""

    k: np.ndarray
    mid: np.ndarray
    loss: np.ndarray
    height: np.ndarray
    floor: np.ndarray
    spread: np.ndarray  # curvature of the loss in the height, the floor following
    power: np.ndarray  # curvature of the loss in the floor, the height following

    def best(self) -> tuple[int, int]:
        """Place of the least loss."""
        row, column = np.unravel_index(int(self.loss.argmin()), self.loss.shape)
        return int(row), int(column)


def fit_allocation(
    compute: npt.ArrayLike,
    number: npt.ArrayLike,
    *,
    unit: str = "rollouts",
    against: Against = "log10",
) -> AllocationFit:
    """Fit log2 number = L / (1 + exp(-k (x - x_0))) + b by least squares; `number` is n*, or B_p*, above 0.

    x is log10 of `compute`, or with `against="steps"` the number of steps in `compute` (a fixed batch; M, not log M).
    k is negative where the number falls. Bounds: x_0 within the data, |k| times the range of x from 2 to 150.

    Intervals are profile likelihoods: a value is in if the loss, minimised over the other three, is at most
    (1 + t^2 / (points - 4)) times the least, t being Student's for 95%. They take the points as independent of each
    other; those of an n*(C) read off one set of curves are not, and `Frontier.allocation` has intervals for them.

    Source: IsoCompute Playbook (arXiv 2603.12151). DataError for fewer than 6 points, or ones without a range.
    """
    x, y = _points(compute, number, against)
    sign, least = _closest(x, y)
    values = _values(least, sign)
    loss = float(max(least.loss.min(), 0.0))
    allowed = max(loss, _NOTHING) * (1 + _margin(len(x)))
    limits = _profiles((least, _allowing(sign * x, y, allowed)), allowed, sign)
    curve = Logistic(values["L"], values["k"], values["log_midpoint"], values["b"], against, unit)
    span = float(np.ptp(x))
    return AllocationFit(
        curve=curve,
        **{name: Estimate(values[name], *limits[name]) for name in values},
        rmse=float(np.sqrt(loss / len(x))),
        points=len(x),
        low=float(np.min(np.asarray(compute))),
        high=float(np.max(np.asarray(compute))),
        step=_at_bound(abs(curve.k) * span, STEEPEST),
        doubts=_doubts(curve, x),
    )


def fitted_values(
    compute: npt.ArrayLike, number: npt.ArrayLike, *, against: Against = "log10"
) -> dict[str, float]:
    """L, k, log_midpoint and b of `fit_allocation` without intervals: for many replicates."""
    sign, least = _closest(*_points(compute, number, against))
    return _values(least, sign)


def _points(compute: npt.ArrayLike, number: npt.ArrayLike, against: Against) -> tuple[np.ndarray, np.ndarray]:
    x, n = regressor(compute, against), np.asarray(number, dtype=np.float64)
    if x.ndim != 1 or x.shape != n.shape or len(x) <= _PARAMETERS + 1:
        raise DataError(
            f"An allocation from budgets of shape {x.shape} and numbers of shape {n.shape}.",
            f"Give one number for each budget, at least {_PARAMETERS + 2}.",
        )
    if not np.isfinite(n).all() or (n <= 0).any():
        raise DataError("A number to allocate is not above 0.", "Give num_generations or problems_per_step.")
    if np.ptp(x) <= 0:
        raise DataError("All budgets are equal.", "Give the best number at different budgets.")
    return x, np.log2(n)


def _margin(points: int) -> float:
    from scipy.special import stdtrit

    t = float(stdtrit(points - _PARAMETERS, (1 + CONFIDENCE) / 2))
    return t * t / (points - _PARAMETERS)


def _closest(x: np.ndarray, y: np.ndarray) -> tuple[float, _Table]:
    """1 and a table close around the least loss for a number that rises; -1 and that against -x for one that falls."""
    for sign in (1.0, -1.0):
        bounds = _bounds(sign * x)
        table = _table(sign * x, y, *_axes(bounds))
        for _ in range(_ZOOMS):
            table = _table(sign * x, y, *_region(table, _only(table), bounds))
        if table.height[table.best()] >= 0:
            break
    return sign, table


def _allowing(x: np.ndarray, y: np.ndarray, allowed: float) -> _Table:
    """A table around all slopes and midpoints within the allowed loss."""
    bounds = _bounds(x)
    table = _table(x, y, *_axes(bounds))
    for _ in range(_ZOOMS):
        inside = table.loss <= allowed
        table = _table(x, y, *_region(table, inside if inside.any() else _only(table), bounds))
    return table


def _bounds(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of log k and of the midpoint."""
    return np.log(np.array([_FLATTEST, STEEPEST]) / np.ptp(x)), np.array([x.min(), x.max()])


def _axes(bounds: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    return [np.linspace(low, high, _GRID) for low, high in bounds]


def _only(table: _Table) -> np.ndarray:
    """True at the least loss alone."""
    return table.loss <= table.loss.min()


def _region(
    table: _Table, inside: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Finer axes over the cells of a table that are `inside`, and two steps around."""
    axes = []
    for axis, values, bound in ((0, np.log(table.k[:, 0]), bounds[0]), (1, table.mid[0], bounds[1])):
        places = np.flatnonzero(inside.any(axis=1 - axis))
        step = values[1] - values[0]
        low, high = values[places[0]] - 2 * step, values[places[-1]] + 2 * step
        axes.append(np.linspace(max(low, bound[0]), min(high, bound[1]), _GRID))
    return axes[0], axes[1]


def _table(
    x: Float[np.ndarray, "points"],
    y: Float[np.ndarray, "points"],
    log_k: Float[np.ndarray, "slopes"],
    mids: Float[np.ndarray, "midpoints"],
) -> _Table:
    k, mid = np.meshgrid(np.exp(log_k), mids, indexing="ij")
    with np.errstate(over="ignore"):
        g = 1 / (1 + np.exp(k[..., None] * (mid[..., None] - x)))
    centred = g - g.mean(axis=-1, keepdims=True)
    spread = np.maximum((centred**2).sum(axis=-1), 1e-12)
    height = centred @ y / spread
    floor = y.mean() - height * g.mean(axis=-1)
    loss = ((y - y.mean()) ** 2).sum() - height**2 * spread
    # Var(b) / Var(L) of a straight line is the mean of g^2.
    power = spread / np.maximum((g**2).mean(axis=-1), 1e-12)
    return _Table(k, mid, loss, height, floor, spread, power)


def _values(table: _Table, sign: float) -> dict[str, float]:
    at = table.best()
    return {
        "L": float(table.height[at]),
        "k": sign * float(table.k[at]),
        "log_midpoint": sign * float(table.mid[at]),
        "b": float(table.floor[at]),
    }


def _profiles(tables: tuple[_Table, ...], allowed: float, sign: float) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each parameter that some slope and midpoint allow."""
    ends: dict[str, list[float]] = {"L": [], "k": [], "log_midpoint": [], "b": []}
    for table in tables:
        inside = table.loss <= allowed
        if not inside.any():
            continue
        room = allowed - table.loss[inside]
        for name, value, curvature in (("L", table.height, table.spread), ("b", table.floor, table.power)):
            half = np.sqrt(room / curvature[inside])
            ends[name] += [float((value[inside] - half).min()), float((value[inside] + half).max())]
        ends["k"] += [sign * edge for edge in _crossings(table.k[:, 0], table.loss.min(axis=1), allowed)]
        ends["log_midpoint"] += [
            sign * edge for edge in _crossings(table.mid[0], table.loss.min(axis=0), allowed)
        ]
    return {name: (min(edges), max(edges)) for name, edges in ends.items()}


def _crossings(values: np.ndarray, profile: np.ndarray, allowed: float) -> tuple[float, float]:
    """Where a profile crosses the allowed loss on either side, between grid points by a straight line."""
    inside = np.flatnonzero(profile <= allowed)
    edges = []
    for within, beyond in ((inside[0], inside[0] - 1), (inside[-1], inside[-1] + 1)):
        edge = values[within]
        if 0 <= beyond < len(values):
            share = (allowed - profile[within]) / (profile[beyond] - profile[within])
            edge = edge + share * (values[beyond] - edge)
        edges.append(float(edge))
    return edges[0], edges[1]


def _at_bound(value: float, bound: float) -> bool:
    return bool(abs(np.log(value / bound)) < 1e-6)


def _doubts(curve: Logistic, x: np.ndarray) -> tuple[str, ...]:
    span = float(np.ptp(x))
    doubts = []
    if _at_bound(abs(curve.k) * span, STEEPEST):
        doubts.append("k is at its upper bound: a step, not a slope")
    if _at_bound(abs(curve.k) * span, _FLATTEST):
        doubts.append("k is at its lower bound: the number rises without a bend, and L is not its ceiling")
    if min(curve.midpoint - x.min(), x.max() - curve.midpoint) <= 1e-9 * span:
        doubts.append("the midpoint is at the edge of the data: half of the rise was not seen")
    if curve.L < 1e-6:
        doubts.append("the number does not change with the budget")
    return tuple(doubts)
