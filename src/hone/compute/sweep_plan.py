"""A plan from the user's own sweep: the best settings at a budget by its frontier, and the reward they should reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from hone.compute.estimate import Estimate, percentile_estimate
from hone.compute.frontier import Frontier, FrontierPoint, frontier
from hone.compute.learning_rate import Anchor
from hone.compute.planner import Layout, Plan, Row, lay_out, layout_warnings, rate_words
from hone.compute.prior import Target
from hone.compute.recipe_curve import RecipeCurve, fit_recipe
from hone.compute.reward_curve import MAX_EXTRAPOLATION
from hone.compute.rollout_cost import SECONDS_AN_HOUR, Budget
from hone.compute.series import Series, Unit, check_comparable
from hone.core.errors import DataError


class Redrawn(TypedDict):
    """How limits are made."""

    resamples: int
    seed: int


def series_unit(budget: Budget) -> tuple[Unit, float]:
    """The unit of series that a budget is compared with, and how much of it the budget is: hours are seconds there."""
    if budget.unit == "hours":
        return "seconds", budget.amount * SECONDS_AN_HOUR
    return budget.unit, budget.amount


def plan_from_sweep(
    budget: Budget,
    series: Sequence[Series],
    in_rollouts: Sequence[Series] | None = None,
    *,
    target: str = "pass@1",
    batch: int | None = None,
    max_extrapolation: float = MAX_EXTRAPOLATION,
    resamples: int = 200,
    seed: int = 0,
) -> Plan:
    """A plan from the runs of a sweep, read in the unit of `series_unit(budget)`.

    num_generations is the one whose curve, fitted to all runs that have it, is highest at the budget; problems_per_step
    likewise. Beyond the runs the bend of a curve is a guess: where redrawn sweeps do not tell the highest one, the
    choice is what was best at the largest budget where they told or, if they never did, where the runs end. The reward
    is that of the chosen cell's own curve, or of its group's where no run had both. `in_rollouts` are the same runs in
    rollouts, from which a budget in another unit is converted. With `batch` only runs with so many rollouts a step
    count. Limits are by `resamples` redrawn sweeps; the same `seed` gives the same ones.

    Raises DataError where the budget is more than `max_extrapolation` times what the runs spent, or where they cannot
    tell num_generations.
    """
    aim, (unit, amount) = Target.of(target), series_unit(budget)
    rollouts = list(in_rollouts if in_rollouts is not None else series)
    series, rollouts = _usable(list(series), rollouts, unit, aim.metric, batch)
    redrawn: Redrawn = {"resamples": resamples, "seed": seed}
    whole = frontier(series, **redrawn)
    here = whole.at(amount, max_extrapolation=max_extrapolation)
    chosen, choice_words = _chosen(whole, here, amount, max_extrapolation)
    n = int(whole.num_generations[chosen])
    problems, problems_words = _problems(series, amount, n, max_extrapolation, redrawn)
    each = _each(series, rollouts, n)
    found = lay_out(lambda _: int(amount / each), n, problems, min(problems, 8), enough=1)
    anchor = _anchor(series, found)
    rate, words = _rate(anchor, found)
    between = (int(here.track.low[0]), int(here.track.high[0]))
    identified = bool(here.track.identified[0])
    expected, curve_words, doubts = _expected(
        whole.curves[chosen], series, found, amount, max_extrapolation, redrawn
    )
    far = amount / whole.curves[chosen].reach
    conversion = (
        f"The budget is {int(amount / each):,} rollouts."
        if unit == "rollouts"
        else f"{budget.amount:g} {budget.unit} are {int(amount / each):,} rollouts, at what the runs with groups of "
        f"{n} took on average."
    )
    why = (
        conversion,
        f"Groups of {n}: {choice_words}, of {_listed(whole.num_generations)} in the sweep.",
        problems_words,
        words,
        curve_words,
    )
    return Plan(
        found.generations, found.problems, found.steps, rate, "sweep", expected, "", between if identified else None,
        {}, why, _sure(whole, series, between, identified, far),
        (*_warnings(far, doubts), *layout_warnings(found, anchor)),
        _rows(whole),
    )  # fmt: skip


def _chosen(whole: Frontier, here: FrontierPoint, amount: float, max_extrapolation: float) -> tuple[int, str]:
    """Which curve is followed at a budget, as its place among the frontier's curves, and why in words."""
    highest = here.curve, "their curve is highest at this budget"
    if here.extrapolation <= 1 or here.track.identified[0]:
        return highest
    track = whole.best(whole.by)
    told = np.flatnonzero(track.identified)
    at = int(told[-1]) if len(told) else len(track.compute) - 1
    values = getattr(whole, whole.by)
    kept = int(np.flatnonzero(values == track.value[at])[0])
    if amount > max_extrapolation * whole.curves[kept].reach:
        return highest
    end = (
        f"at the largest budget where the runs tell, {track.compute[at]:,.0f}"
        if len(told)
        else "where the runs end"
    )
    return kept, f"their curve was highest {end}, and beyond the runs none is known to be higher"


def _rows(whole: Frontier, count: int = 6) -> tuple[Row, ...]:
    """n*(C) at budgets a factor of two apart, the largest that of the sweep."""
    track, reward = whole.best(), whole.envelope.reward
    wanted = track.compute[-1] / 2.0 ** np.arange(count)
    places = sorted({int(np.abs(track.compute - w).argmin()) for w in wanted if w >= track.compute[0]})
    return tuple(
        Row(
            float(track.compute[at]), int(track.value[at]), int(track.low[at]), int(track.high[at]),
            float(reward[at]), bool(track.identified[at]),
        )
        for at in places
    )  # fmt: skip


def _usable(
    series: list[Series], rollouts: list[Series], unit: Unit, metric: str, batch: int | None
) -> tuple[list[Series], list[Series]]:
    """The runs that count, with at least two of num_generations among them."""
    check_comparable(series)
    if series[0].unit != unit or series[0].metric != metric:
        raise DataError(
            f"The runs were read as {series[0].metric} against {series[0].unit}.",
            f"Read them as {metric} against {unit}.",
        )
    if len(rollouts) != len(series) or any(run.unit != "rollouts" for run in rollouts):
        raise DataError(
            "A budget that is not in rollouts needs the runs in rollouts as well.", "Give `in_rollouts`."
        )
    kept = [
        (run, same)
        for run, same in zip(series, rollouts)
        if batch is None or run.num_generations * run.problems_per_step == batch
    ]
    groups = {run.num_generations for run, _ in kept}
    if len(groups) < 2:
        of = "" if batch is None else f" of {batch:,} rollouts a step"
        raise DataError(
            f"The sweep has runs{of} with {len(groups)} different num_generations.",
            "Sweep at least two, or plan without `--sweep`.",
        )
    return [run for run, _ in kept], [same for _, same in kept]


def _problems(
    series: Sequence[Series], amount: float, n: int, max_extrapolation: float, redrawn: Redrawn
) -> tuple[int, str]:
    """Problems of a step: the best over all runs, among those that were run with groups of `n`."""
    tried = sorted({run.problems_per_step for run in series if run.num_generations == n})
    if len(tried) == 1:
        return tried[0], f"{tried[0]} problems a step, as in all runs with groups of {n}."
    whole = frontier(series, by="problems_per_step", **redrawn)
    here = whole.at(amount, max_extrapolation=max_extrapolation)
    kept, words = _chosen(whole, here, amount, max_extrapolation)
    best = int(whole.problems_per_step[kept])
    chosen = min(tried, key=lambda p: abs(math.log(p / best)))
    low, high = int(here.track.low[0]), int(here.track.high[0])
    known = "" if here.track.identified[0] else ", so the sweep does not tell them apart"
    return chosen, (
        f"{chosen} problems a step: for {best}, {words} (95% of redrawn sweeps choose {low} to {high}{known})."
    )


def _each(series: Sequence[Series], rollouts: Sequence[Series], n: int) -> float:
    """What one rollout took of the unit, over all runs with groups of `n`."""
    pairs = [(run, same) for run, same in zip(series, rollouts) if run.num_generations == n]
    return float(sum(run.compute[-1] for run, _ in pairs) / sum(same.compute[-1] for _, same in pairs))


def _anchor(series: Sequence[Series], found: Layout) -> Anchor:
    """The learning rate of the run whose steps are nearest in size."""
    size = found.generations * found.problems
    near = min(series, key=lambda run: abs(math.log(run.num_generations * run.problems_per_step / size)))
    return Anchor(near.learning_rate, near.num_generations * near.problems_per_step)


def _rate(anchor: Anchor, found: Layout) -> tuple[float, str]:
    """The learning rate by the square-root rule, and in words."""
    size = found.generations * found.problems
    rate = anchor.at(size)
    if anchor.rollouts == size:
        return rate, f"Learning rate {rate:g}: that of the sweep's runs with {size:,} rollouts a step."
    return rate, rate_words(anchor, rate, found).replace("the recipe's own", "the nearest run's")


def _expected(
    pooled: RecipeCurve,
    series: Sequence[Series],
    found: Layout,
    amount: float,
    max_extrapolation: float,
    redrawn: Redrawn,
) -> tuple[Estimate, str, tuple[str, ...]]:
    """The reward at the budget with its limits, what curve it is read off, and what is doubtful about that curve.

    The curve is that of the chosen cell where it reaches so far, and else that of all runs with its groups.
    """
    curve, words = (
        pooled,
        f"The reward is read off the curve over all runs with groups of {found.generations}",
    )
    exact = (found.generations, found.problems)
    cell = [run for run in series if (run.num_generations, run.problems_per_step) == exact]
    if cell and amount <= max_extrapolation * max(float(run.compute[-1]) for run in cell):
        curve = fit_recipe(cell, form="sigmoid", **redrawn)
        words = "The reward is read off the curve of the runs with exactly these settings"
    rows = curve.rewards_at(amount)
    said = f"{words} ({curve.seeds} seed(s) at least); 95% limits are by bootstrap ({curve.how})."
    return percentile_estimate(rows[0], rows[1:]), said, curve.fit.doubts


def _listed(values: np.ndarray) -> str:
    numbers = [f"{int(value)}" for value in sorted(set(values))]
    return f"{', '.join(numbers[:-1])} and {numbers[-1]}"


def _sure(
    whole: Frontier, series: Sequence[Series], between: tuple[int, int], identified: bool, far: float
) -> tuple[str, ...]:
    """How sure the sweep is, in sentences."""
    cells = {run.cell for run in series}
    words = [f"From your own sweep: {len(series)} runs of {len(cells)} cells."]
    if identified:
        span = f"{between[0]}" if between[0] == between[1] else f"{between[0]} to {between[1]}"
        words.append(f"95% of redrawn sweeps choose num_generations {span}.")
    else:
        words.append(
            f"num_generations is not identified: redrawn sweeps choose anything from {between[0]} to {between[1]}. "
            "More seeds, or longer runs, would tell."
        )
    if far > 1:
        words.append(
            f"The budget is {far:.2f} times what the chosen runs spent: the curves are extrapolated."
        )
    words.append(
        "The best of several curves is chosen by their fits, so the predicted reward leans to the high side."
    )
    return tuple(words)


def _warnings(far: float, doubts: Sequence[str]) -> tuple[str, ...]:
    found = [f"The curve that predicts the reward: {doubt}." for doubt in doubts]
    if far > 2:
        found.insert(0, f"An extrapolation by {far:.1f} times: the reward may bend where no run has been.")
    return tuple(found)
