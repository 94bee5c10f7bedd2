"""The search for the shape of a reward curve: a grid over midpoint and efficiency, then closer around the best.

End values have closed forms (end_values.py), so only the shape is searched, for many replicates of the data at once:
all share one table of shapes, and what is left is matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hone.compute.end_values import fixed_start, free_ends, known_end, moments

if TYPE_CHECKING:
    from jaxtyping import Float

Form = Literal["scalerl", "sigmoid", "power"]

A_STEP = 0.005  # ScaleRL's grid of asymptotes
MIDS = 100  # midpoints on the grid, log-spaced from the smallest compute to 10 times the largest
EFFICIENCY = (0.05, 20.0)  # range of B; a curve at its upper end is a step
_EFFICIENCIES = 20
_KEPT = 8  # midpoints of the coarse grid whose efficiency is searched further
_CHUNK = 64  # replicates at once: bounds the memory
_HALVINGS = 7


class Found(NamedTuple):
    """The best curve of every replicate. `mid` is nan for a power law; `start` is its value at `compute[0]`."""

    start: Float[np.ndarray, "replicates"]
    end: Float[np.ndarray, "replicates"]
    mid: Float[np.ndarray, "replicates"]
    efficiency: Float[np.ndarray, "replicates"]
    loss: Float[np.ndarray, "replicates"]


@dataclass(frozen=True)
class Search:
    """What is searched: the form, whether the start is fixed, the step of the asymptote's grid, the midpoints; with
    `end` the asymptote is that number."""

    form: Form
    fixed: bool
    a_step: float | None
    mids: Float[np.ndarray, "mids"]
    end: float | None = None


def midpoints(compute: Float[np.ndarray, "points"]) -> Float[np.ndarray, "mids"]:
    """The grid of C_mid: log-spaced from the smallest positive compute to 10 times the largest."""
    positive = compute[compute > 0]
    return np.geomspace(positive.min(), 10 * positive.max(), MIDS)


def shape_of(
    form: Form, compute: Float[np.ndarray, "points"], mid: np.ndarray, efficiency: np.ndarray, first: float
) -> np.ndarray:
    """How far along its way the curve is, in [0, 1], for every (mid, efficiency) pair: [*pairs, points].

    Sigmoid: 1 / (1 + (mid / C)^B). Power law: 1 - (C / first)^-B, which starts at `first`, the smallest compute.
    """
    with np.errstate(divide="ignore", over="ignore"):
        log = np.log(compute)  # -inf at 0, where a sigmoid is at its start
        if form == "power":
            return np.asarray(-np.expm1(-efficiency[..., None] * (log - np.log(first))))
        return np.asarray(1 / (1 + np.exp(efficiency[..., None] * (np.log(mid)[..., None] - log))))


def search(
    spec: Search,
    compute: Float[np.ndarray, "points"],
    rewards: Float[np.ndarray, "replicates points"],
    weights: Float[np.ndarray, "replicates points"],
    starts: Float[np.ndarray, "replicates"],
) -> Found:
    """The curve of least weighted squares for every replicate; `starts` are used if the start is fixed."""
    mids = np.array([1.0]) if spec.form == "power" else spec.mids
    efficiencies = np.geomspace(*EFFICIENCY, _EFFICIENCIES)
    grid = np.meshgrid(mids, efficiencies, indexing="ij")
    table = shape_of(spec.form, compute, grid[0].ravel(), grid[1].ravel(), float(compute[0]))
    parts = []
    for at in range(0, len(rewards), _CHUNK):
        y, w, start = rewards[at : at + _CHUNK], weights[at : at + _CHUNK], starts[at : at + _CHUNK, None]
        loss = _solve(spec, table, y, w, start)[2].reshape(len(y), len(mids), len(efficiencies))
        parts.append(_closer(spec, compute, y, w, start, loss, mids, efficiencies))
    return Found(*(np.concatenate(column) for column in zip(*parts)))


def _solve(
    spec: Search, shapes: np.ndarray, y: np.ndarray, w: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sums = moments(shapes, y, w)
    if spec.end is not None:
        return known_end(sums, start if spec.fixed else None, spec.end)
    if not spec.fixed:
        return free_ends(sums)
    end, loss = fixed_start(sums, start, spec.a_step)
    return np.broadcast_to(start, end.shape), end, loss


def _closer(
    spec: Search,
    compute: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    start: np.ndarray,
    loss: Float[np.ndarray, "replicates mids efficiencies"],
    mids: np.ndarray,
    efficiencies: np.ndarray,
) -> Found:
    """Halve the steps around the best of the grid. ScaleRL's midpoint stays on its grid, and its efficiency is
    searched at several midpoints; other forms move both from the best pair."""
    both = spec.form == "sigmoid"
    order = np.argsort(loss.min(axis=2), axis=1)[:, : 1 if both else min(_KEPT, len(mids))]
    log_mid = np.log(mids[order])
    log_b = np.log(efficiencies[np.take_along_axis(loss.argmin(axis=2), order, axis=1)])
    step_b = np.log(efficiencies[1] / efficiencies[0])
    step_mid = np.log(mids[1] / mids[0]) if both else 0.0
    move_b, move_mid = np.meshgrid(np.arange(-2, 3), np.arange(-2, 3) if both else [0], indexing="ij")
    bounds_b, bounds_mid = np.log(EFFICIENCY), np.log(mids[[0, -1]])
    rows = np.arange(len(y))[:, None]
    for _ in range(_HALVINGS):
        step_b, step_mid = step_b / 2, step_mid / 2
        near_b = np.clip(log_b[..., None] + step_b * move_b.ravel(), *bounds_b)
        near_mid = np.clip(log_mid[..., None] + step_mid * move_mid.ravel(), *bounds_mid)
        shapes = shape_of(spec.form, compute, np.exp(near_mid), np.exp(near_b), float(compute[0]))
        flat = shapes.reshape(len(y), -1, len(compute))
        starts, ends, losses = _solve(spec, flat, y, w, start)
        by_mid = losses.reshape(near_b.shape)
        pick = by_mid.argmin(axis=2)[..., None]
        log_b = np.take_along_axis(near_b, pick, axis=2)[..., 0]
        log_mid = np.take_along_axis(near_mid, pick, axis=2)[..., 0]
    best = losses.argmin(axis=1)[:, None]
    chosen = [values[rows, best][:, 0] for values in (starts, ends, losses)]
    mid = np.exp(near_mid.reshape(len(y), -1)[rows, best][:, 0])
    efficiency = np.exp(near_b.reshape(len(y), -1)[rows, best][:, 0])
    if spec.form == "power":
        mid = np.full(len(y), np.nan)
    return Found(chosen[0], chosen[1], mid, efficiency, chosen[2])
