"""A plan from the user's own sweep: the best settings at a budget by its frontier, and the reward they should reach."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hone.compute.estimate import Estimate
from hone.compute.frontier import Frontier, frontier
from hone.compute.planner import Anchor, Layout, Plan, lay_out, layout_warnings, rate_words
from hone.compute.prior import Target
from hone.compute.recipe_curve import RecipeCurve
from hone.compute.reward_curve import MAX_EXTRAPOLATION
from hone.compute.rollout_cost import SECONDS_AN_HOUR, Budget
from hone.compute.series import Series, Unit, check_comparable
from hone.core.errors import DataError


@dataclass(frozen=True)
class Row:
    """The frontier at one budget within the sweep: the best group with its 95% limits, and the reward it reaches."""

    compute: float
    num_generations: int
    low: int
    high: int
    reward: float
    identified: bool


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
    seed: int = 0,
) -> Plan:
    """A plan from the runs of a sweep, read in the unit of `series_unit(budget)`.

    num_generations is the one whose curve, fitted to all runs that have it, is highest at the budget; problems_per_step
    likewise; the reward is that of the chosen cell's own curve, or of its group's where no run had both. `in_rollouts`
    are the same runs in rollouts, from which a budget in another unit is converted. With `batch` only runs with so many
    rollouts a step count. The same `seed` gives the same limits.

    Raises DataError where the budget is more than `max_extrapolation` times what the runs spent, or where they cannot
    tell num_generations.
    """
    aim, (unit, amount) = Target.of(target), series_unit(budget)
    rollouts = list(in_rollouts if in_rollouts is not None else series)
    series, rollouts = _usable(list(series), rollouts, unit, aim.metric, batch)
    whole = frontier(series, max_extrapolation=1.0, seed=seed)
    here = whole.at(amount, max_extrapolation=max_extrapolation)
    n = int(whole.num_generations[here.curve])
    problems, problems_words = _problems(series, amount, n, max_extrapolation, seed)
    each = _each(series, rollouts, n)
    found = lay_out(lambda _: int(amount / each), n, problems, min(problems, 8), enough=1)
    rate, words = _rate(series, found)
    between = (int(here.track.low[0]), int(here.track.high[0]))
    identified = bool(here.track.identified[0])
    expected, curve_words, doubts = _expected(whole, here.curve, series, found, amount, max_extrapolation, seed)
    far = here.extrapolation
    conversion = (
        f"The budget is {int(amount / each):,} rollouts."
        if unit == "rollouts"
        else f"{budget.amount:g} {budget.unit} are {int(amount / each):,} rollouts, at what the runs with groups of {n} "
        "took on average."
    )
    why = (
        conversion,
        f"Groups of {n}: their curve is highest at this budget, of {_listed(whole.num_generations)} in the sweep.",
        problems_words,
        words,
        curve_words,
    )
    return Plan(
        found.generations, found.problems, found.steps, rate, "sweep", expected, "", between if identified else None,
        {}, why, _sure(whole, series, between, identified, far), (*_warnings(far, doubts), *layout_warnings(found)),
    )  # fmt: skip


def frontier_rows(series: Sequence[Series], count: int = 6, seed: int = 0) -> list[Row]:
    """n*(C) at budgets a factor of two apart, the largest that of the sweep."""
    whole = frontier(series, seed=seed)
    track, reward = whole.best(), whole.envelope.reward
    wanted = track.compute[-1] / 2.0 ** np.arange(count)
    places = sorted({int(np.abs(track.compute - w).argmin()) for w in wanted if w >= track.compute[0]})
    return [
        Row(
            float(track.compute[at]), int(track.value[at]), int(track.low[at]), int(track.high[at]),
            float(reward[at]), bool(track.identified[at]),
        )
        for at in places
    ]  # fmt: skip


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
    series: Sequence[Series], amount: float, n: int, max_extrapolation: float, seed: int
) -> tuple[int, str]:
    """Problems of a step: the best over all runs, among those that were run with groups of `n`."""
    tried = sorted({run.problems_per_step for run in series if run.num_generations == n})
    if len(tried) == 1:
        return tried[0], f"{tried[0]} problems a step, as in all runs with groups of {n}."
    whole = frontier(series, by="problems_per_step", seed=seed)
    here = whole.at(amount, max_extrapolation=max_extrapolation)
    best = int(whole.problems_per_step[here.curve])
    chosen = min(tried, key=lambda p: abs(math.log(p / best)))
    low, high = int(here.track.low[0]), int(here.track.high[0])
    known = "" if here.track.identified[0] else ", so the sweep does not tell them apart"
    return chosen, (
        f"{chosen} problems a step: the curve over all runs with {best} is highest (95% of redrawn sweeps choose {low} "
        f"to {high}{known})."
    )


def _each(series: Sequence[Series], rollouts: Sequence[Series], n: int) -> float:
    """What one rollout took of the unit, over all runs with groups of `n`."""
    pairs = [(run, same) for run, same in zip(series, rollouts) if run.num_generations == n]
    return float(sum(run.compute[-1] for run, _ in pairs) / sum(same.compute[-1] for _, same in pairs))


def _rate(series: Sequence[Series], found: Layout) -> tuple[float, str]:
    """The learning rate by the square-root rule, from the run whose steps are nearest in size."""
    size = found.generations * found.problems
    near = min(series, key=lambda run: abs(math.log(run.num_generations * run.problems_per_step / size)))
    anchor = Anchor(near.learning_rate, near.num_generations * near.problems_per_step)
    rate = anchor.at(size)
    if anchor.rollouts == size:
        return rate, f"Learning rate {rate:g}: that of the sweep's runs with {size:,} rollouts a step."
    return rate, rate_words(anchor, rate, found).replace("the recipe's own", "the nearest run's")


def _expected(
    whole: Frontier,
    chosen: int,
    series: Sequence[Series],
    found: Layout,
    amount: float,
    max_extrapolation: float,
    seed: int,
) -> tuple[Estimate, str, tuple[str, ...]]:
    """The reward at the budget with its limits, what curve it is read off, and what is doubtful about that curve."""
    cell = [
        run
        for run in series
        if (run.num_generations, run.problems_per_step) == (found.generations, found.problems)
    ]
    curve: RecipeCurve = whole.curves[chosen]
    words = f"The reward is read off the curve over all runs with groups of {found.generations}"
    if cell and len({run.problems_per_step for run in series if run.num_generations == found.generations}) > 1:
        own = _cell_curve(series, found, seed)
        if own is not None and amount <= max_extrapolation * own.fit.max_compute:
            curve, words = own, "The reward is read off the curve of the runs with exactly these settings"
    reward = Estimate(*_limits(curve, amount))
    seeds = f"{curve.seeds} seed(s) at least"
    return reward, f"{words} ({seeds}); 95% limits are by bootstrap ({curve.how}).", curve.fit.doubts


def _cell_curve(series: Sequence[Series], found: Layout, seed: int) -> RecipeCurve | None:
    """The curve of one cell; None if its runs are too short for one."""
    cells = frontier(series, others="best", seed=seed)
    for at, curve in enumerate(cells.curves):
        if (cells.num_generations[at], cells.problems_per_step[at]) == (found.generations, found.problems):
            return curve
    return None


def _limits(curve: RecipeCurve, amount: float) -> tuple[float, float, float]:
    rows = curve.rewards_at(amount)
    low, high = np.quantile(rows[1:], [0.025, 0.975])
    return float(rows[0]), float(min(low, rows[0])), float(max(high, rows[0]))


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
        words.append(f"95% of redrawn sweeps choose num_generations between {between[0]} and {between[1]}.")
    else:
        words.append(
            f"num_generations is not identified: redrawn sweeps choose anything from {between[0]} to {between[1]}. More "
            "seeds, or longer runs, would tell."
        )
    if far > 1:
        words.append(f"The budget is {far:.2f} times what the chosen runs spent: the curves are extrapolated.")
    words.append(
        "The best of several curves is chosen by their fits, so the predicted reward leans to the high side."
    )
    return tuple(words)


def _warnings(far: float, doubts: Sequence[str]) -> tuple[str, ...]:
    found = [f"The curve that predicts the reward: {doubt}." for doubt in doubts]
    if far > 2:
        found.insert(0, f"An extrapolation by {far:.1f} times: the reward may bend where no run has been.")
    return tuple(found)
