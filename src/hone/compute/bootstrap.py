"""Redrawing the runs of a recipe: seeds with replacement, and the readings within each run."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hone.compute.curve_search import Form
from hone.compute.pooling import bins
from hone.compute.reward_curve import LEAST_POINTS, fit_reward_curve, starting_reward
from hone.compute.series import Series, check_comparable

if TYPE_CHECKING:
    from jaxtyping import Float, Int

Noise = Literal["residual", "binomial"]

_PARAMETERS = 4  # of the sigmoid through each run
_SURE = 0.02  # standard deviations are not taken closer to a reward of 0 or 1 than this


@dataclass(frozen=True)
class Redrawn:
    """The readings of a recipe's runs, pooled; row 0 as they were read, each further row redrawn."""

    compute: Float[np.ndarray, "points"]
    reward: Float[np.ndarray, "rows points"]
    weight: Float[np.ndarray, "rows points"]
    start: Float[np.ndarray, "rows"]
    seeds: int
    how: str


def redraw(
    series: Sequence[Series],
    *,
    form: Form,
    r0: float | Literal["fit"] | None,
    noise: Noise,
    resamples: int,
    seed: int,
) -> Redrawn:
    """Draw `resamples` new sets of the runs.

    Runs are picked with replacement within each cell (seeds are the clusters); a cell with one run keeps it, and the
    limits then say nothing of differences between seeds. A picked run is the sigmoid through its own readings plus
    new noise: "residual" draws blocks of n^(1/3) neighbours from the run's own residuals, each divided by its
    binomial standard deviation, so that it needs to be right only about how noise depends on the reward; "binomial"
    draws binomial(problems, reward), which is exact for one rollout a problem and too much for many. A run too short
    for a sigmoid is its own readings plus binomial noise.

    The start of a row (R0) is its own mean reading at compute 0, or as given.
    """
    check_comparable(series)
    runs = sorted(series, key=lambda run: (run.cell, run.seed))
    # A stream of its own for each recipe: the noise of two recipes must not be the same noise.
    rng = np.random.default_rng([seed, zlib.crc32("|".join(sorted({run.cell for run in runs})).encode())])
    every = np.concatenate([run.compute for run in runs]).astype(np.float64)
    index = np.split(bins(every), np.cumsum([len(run.compute) for run in runs])[:-1])
    count = int(max(part.max() for part in index)) + 1
    weights = np.stack([_sums(part, run.problems, count) for run, part in zip(runs, index)])
    compute = np.stack([_sums(part, run.problems * run.compute, count) for run, part in zip(runs, index)])
    read = np.stack([_sums(part, run.problems * run.reward, count) for run, part in zip(runs, index)])

    total = np.zeros((resamples + 1, count))
    mass = np.zeros((resamples + 1, count))
    total[0], mass[0] = read.sum(axis=0), weights.sum(axis=0)
    for mates in _cells(runs):
        picks = rng.choice(mates, size=(resamples, len(mates)))
        for at in mates:
            times = (picks == at).sum(axis=1)
            rows = 1 + np.repeat(np.arange(resamples), times)
            drawn = _drawn(runs[at], len(rows), noise, rng) * runs[at].problems
            one_hot = np.eye(count)[index[at]]
            np.add.at(total, rows, drawn @ one_hot)
            np.add.at(mass, rows, np.broadcast_to(weights[at], (len(rows), count)))
    reward = np.divide(total, mass, out=np.zeros_like(total), where=mass > 0)
    start = np.full(resamples + 1, np.nan)
    if form == "scalerl" and r0 != "fit":
        c, r, w = (
            np.concatenate([getattr(run, name) for run in runs]) for name in ("compute", "reward", "problems")
        )
        start[:] = starting_reward(c, r, w, r0, form)
        if r0 is None:
            start[1:] = np.clip(reward[1:, 0], 0.0, 1.0)
    return Redrawn(
        compute=compute.sum(axis=0) / mass[0],
        reward=reward,
        weight=mass,
        start=start,
        seeds=min(len(mates) for mates in _cells(runs)),
        how=_how(runs, noise),
    )


def _cells(runs: Sequence[Series]) -> list[Int[np.ndarray, "mates"]]:
    """The places of the runs of each cell."""
    names = np.array([run.cell for run in runs])
    return [np.flatnonzero(names == name) for name in np.unique(names)]


def _sums(index: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(index, weights=values, minlength=count)


def _drawn(
    run: Series, times: int, noise: Noise, rng: np.random.Generator
) -> Float[np.ndarray, "times points"]:
    """New readings of a run. They may leave [0, 1]: cutting them off would move their mean."""
    short = len(run.compute) <= LEAST_POINTS
    if short:
        smooth = np.asarray(run.reward, dtype=np.float64)
    else:
        fit = fit_reward_curve(run.compute, run.reward, unit=run.unit, form="sigmoid", problems=run.problems)
        smooth = np.asarray(fit.reward_at(run.compute))
    if short or noise == "binomial":
        return np.asarray(
            rng.binomial(run.problems, np.clip(smooth, 0, 1), size=(times, len(smooth))) / run.problems
        )
    inner = np.clip(smooth, _SURE, 1 - _SURE)
    deviation = np.sqrt(inner * (1 - inner) / run.problems)
    count = len(smooth)
    residuals = (run.reward - smooth) / deviation * np.sqrt(count / max(count - _PARAMETERS, 1))
    block = max(1, round(count ** (1 / 3)))
    starts = rng.integers(count, size=(times, -(-count // block)))
    places = (starts[:, :, None] + np.arange(block)).reshape(times, -1)[:, :count] % count
    return np.asarray(smooth + residuals[places] * deviation)


def _how(runs: Sequence[Series], noise: Noise) -> str:
    fewest = min(len(mates) for mates in _cells(runs))
    within = "blocks of residuals" if noise == "residual" else "binomial noise"
    if fewest == 1:
        return f"readings within each run ({within}); not seeds, of which a cell has one"
    return f"{fewest} or more seeds a cell, and readings within each run ({within})"
