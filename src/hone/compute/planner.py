"""The planner: num_generations, problems_per_step, steps and learning rate for a budget, and why."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from hone.compute import prior
from hone.compute.difficulty import Difficulty, classify
from hone.compute.estimate import Estimate
from hone.compute.learning_rate import Anchor
from hone.compute.measurement import Measurement
from hone.compute.prior import Target
from hone.compute.rollout_cost import Budget
from hone.core.errors import RecipeError

ENOUGH_STEPS = 50  # fewer than that, and a plan takes fewer problems a step; ours
RATE_CHECKED = 8  # the factor in rollouts a step over which the published rule of the learning rate was shown
FEW_STEPS = 10  # fewer than that is warned of
SPENT = 8 / 9  # of the rollouts that a budget buys, a plan spends at least this much; half with a fixed batch


@dataclass(frozen=True)
class Row:
    """The frontier at one budget within the sweep: the best group with its 95% limits, and the reward it reaches."""

    compute: float
    num_generations: int
    low: int
    high: int
    reward: float
    identified: bool


@dataclass(frozen=True)
class Plan:
    """What to run, and what it rests on.

    `expected` is the predicted figure with its 95% limits, None where nothing predicts it: then `unexpected` says why.
    `between` is the range of num_generations that the evidence leaves, None if it leaves it open. `keys` are recipe
    keys besides the four. `why`, `sure` and `warnings` are sentences. `frontier` is what a sweep found at its budgets.
    """

    num_generations: int
    problems_per_step: int
    steps: int
    learning_rate: float
    basis: Literal["sweep", "prior"]
    expected: Estimate | None
    unexpected: str
    between: tuple[int, int] | None
    keys: dict[str, Any]
    why: tuple[str, ...]
    sure: tuple[str, ...]
    warnings: tuple[str, ...]
    frontier: tuple[Row, ...] = ()

    @property
    def rollouts(self) -> int:
        """What it samples in all."""
        return self.num_generations * self.problems_per_step * self.steps

    def as_dict(self) -> dict[str, Any]:
        """JSON values, the four numbers first."""
        return {
            "num_generations": self.num_generations,
            "problems_per_step": self.problems_per_step,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "basis": self.basis,
            "expected": None if self.expected is None else self.expected.as_dict(),
            "expected_reason": self.unexpected or None,
            "num_generations_between": None if self.between is None else list(self.between),
            "rollouts": self.rollouts,
            "keys": self.keys,
            "why": list(self.why),
            "sure": list(self.sure),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Layout:
    """Steps of `problems` groups of `generations` rollouts."""

    generations: int
    problems: int
    steps: int


def lay_out(
    affords: Callable[[int], int], generations: int, problems: int, least: int, enough: int = ENOUGH_STEPS
) -> Layout:
    """Steps within a budget: `affords(n)` is how many rollouts it buys in groups of n.

    Problems a step are halved, down to `least`, until there are `enough` steps; groups are halved only where not one
    step is left. Where there are fewer than 10 steps, problems a step are raised to spend what the last one leaves.
    Raises RecipeError if two rollouts of each of `least` problems are too many.
    """
    while affords(generations) < generations * least and generations > 2:
        generations = max(2, generations // 2)
    rollouts = affords(generations)
    if rollouts < generations * least:
        raise RecipeError(
            f"The budget buys {rollouts:,} rollouts, fewer than one step of {least} problems with two rollouts each.",
            f"Give it {2 * least:,} rollouts or more; a useful plan has {FEW_STEPS} such steps at least.",
        )
    while problems > least and rollouts < enough * generations * problems:
        problems = max(least, problems // 2)
    steps = rollouts // (generations * problems)
    if steps < FEW_STEPS:
        problems = rollouts // (generations * steps)
    return Layout(generations, problems, steps)


def settle_generations(affords: Callable[[int], int], best: Callable[[int], int]) -> int:
    """The group n that is the best one for the rollouts that a budget buys in groups of n.

    What a prompt costs is shared by its group, so a larger group buys more rollouts, which may want a larger group: it
    is followed upwards to where it stays.
    """
    n = best(max(1, affords(1)))
    while (larger := best(max(1, affords(n)))) > n:
        n = larger
    return n


def plan_from_prior(
    budget: Budget,
    base: Measurement,
    anchor: Anchor,
    target: str = "pass@1",
    batch: int | None = None,
    kept: Collection[str] = (),
) -> Plan:
    """A plan from a measured base model and the published constants, which are a prior and said to be one.

    `target` is pass@1, best@k or worst@k; `batch` fixes the rollouts of a step, as hardware may; `kept` are keys that
    the recipe sets itself and the plan leaves alone. Nothing predicts the reward, so `expected` is None. Raises
    RecipeError for a budget that buys no step.
    """
    difficulty, aim = classify(np.asarray(base.rates), base.samples), Target.of(target)
    keys, recipe_words = recipe_row(difficulty, kept)
    cost = replace(base.cost, passes=base.cost.passes + 1) if "kl" in keys else base.cost

    def affords(n: int) -> int:
        return cost.affords(budget, n)

    if batch is None:
        n = settle_generations(
            affords, lambda rollouts: prior.best_generations(rollouts, difficulty, aim, base.train_problems)
        )
        found = lay_out(affords, n, prior.PROBLEMS[difficulty.row], prior.LEAST_PROBLEMS[difficulty.row])
        shape = _free_words(found, difficulty, aim, base, affords(found.generations), n)
    else:
        found = _fixed(affords, batch, difficulty, aim, base)
        shape = (
            f"A step has at most {batch:,} rollouts, as asked: over {found.steps:,} steps the published split of a "
            f"batch of {prior.FIXED_BATCH:,} between groups and problems gives groups of {found.generations}, taken "
            "by its share of the batch's bits (ours).",
        )
        if difficulty.easiness < 1:
            shape += (
                "That split is of an easy set; on hard ones it did not follow the steps in one direction.",
            )
    rollouts = affords(found.generations)
    rate = anchor.at(found.generations * found.problems)
    between = None if batch else prior.likely_generations(rollouts, difficulty, aim, base.train_problems)
    return Plan(
        found.generations, found.problems, found.steps, rate, "prior", None,
        "The published constants say which groups were best, not what reward a model gets: only a sweep predicts it.",
        between, keys,
        (
            cost.words(budget, found.generations),
            *shape,
            rate_words(anchor, rate, found),
            *recipe_words,
        ),
        _sure(difficulty, base, rollouts, between),
        (*(() if batch else _scale_warnings(rollouts)), *layout_warnings(found, anchor), *_base_warnings(base, budget)),
    )  # fmt: skip


def _fixed(
    affords: Callable[[int], int], batch: int, difficulty: Difficulty, aim: Target, base: Measurement
) -> Layout:
    """The split of a fixed batch, and as many steps as the budget buys."""
    least = prior.LEAST_PROBLEMS[difficulty.row]
    if batch < 4:
        raise RecipeError(f"A step of {batch} rollouts is too small.", "Fix the batch at 4 rollouts or more.")
    top = int(2 ** round(prior.log2_saturation(difficulty, base.train_problems)))
    most = max(2, min(top, batch // least))
    n = settle_generations(
        affords, lambda rollouts: prior.split_batch(batch, max(1.0, rollouts / batch), most)
    )
    problems = batch // n
    steps = affords(n) // (n * problems)
    if steps < 1:
        raise RecipeError(
            f"The budget buys {affords(n):,} rollouts, fewer than one step of {batch:,}.",
            "Raise the budget, or lower `--batch`.",
        )
    return Layout(n, problems, steps)


def recipe_row(difficulty: Difficulty, kept: Collection[str] = ()) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The row of the published recipe table as keys, without those in `kept`, and in words.

    The paper names the terms and not their weights, so the 0.001 of both is ours: a common default.
    """
    if difficulty.row == "easy":
        keys = {"kl": {"name": "loss", "beta": 0.001}, "entropy_coef": 0.001}
        keys = {key: value for key, value in keys.items() if key not in kept}
        words = (
            "Easy sets were healthiest with a KL loss and an entropy term together and no zero-variance filter "
            "(0.597, without both 0.583). The paper does not print their weights: 0.001 each is a common default, "
            "and uncertain. A weight that the recipe sets itself stays."
        )
        return keys, (words,)
    return {}, (
        f"No KL, no entropy term and no zero-variance filter: on hard sets the first two together ended at "
        f"0.000, without them it was 0.089; heterogeneous ones are treated alike. This set is {difficulty.name}.",
    )


def rate_words(anchor: Anchor, rate: float, found: Layout) -> str:
    """The learning rate in one sentence."""
    return (
        f"Learning rate {rate:g} = {anchor.learning_rate:g} × sqrt({found.generations * found.problems:,} / "
        f"{anchor.rollouts:,}): the square-root rule, from the recipe's own rate at its own {anchor.rollouts:,} "
        "rollouts a step."
    )


def layout_warnings(found: Layout, anchor: Anchor) -> tuple[str, ...]:
    """What is wrong with a plan of too few steps, or with a rate that was scaled far."""
    words = []
    if found.steps < FEW_STEPS:
        words.append(
            f"Only {found.steps} step(s): too few for a policy to follow its own samples. Raise the budget."
        )
    ratio = found.generations * found.problems / anchor.rollouts
    if not 1 / RATE_CHECKED <= ratio <= RATE_CHECKED:
        words.append(
            f"A step has {ratio:.3g} times the rollouts that the learning rate was chosen for; the square-root rule "
            f"was published over a factor of {RATE_CHECKED}. Try neighbouring rates first."
        )
    return tuple(words)


def _free_words(
    found: Layout, difficulty: Difficulty, aim: Target, base: Measurement, rollouts: int, wanted: int
) -> tuple[str, ...]:
    """Why these groups and problems, in sentences."""
    size = (
        "makes problems without end"
        if base.train_problems is None
        else f"has {base.train_problems:,} problems"
    )
    top = 2 ** prior.log2_saturation(difficulty, base.train_problems)
    shift = prior.log2_shift(aim, difficulty, rollouts)
    words = [
        f"Groups of {wanted}: the published curve for this difficulty at {rollouts:,} rollouts gives "
        f"{2 ** prior.log2_generations(rollouts, difficulty):.1f}, to the nearest power of two from {prior.FLOOR} "
        f"to {top:.0f}, where it saturates on a task that {size}."
    ]
    if aim.kind != "mean":
        words.append(
            f"The target {aim.metric} moves log2 num_generations by {shift:+.2f} here, after the groups that were best "
            "for the best and the worst of four at the largest budgets."
        )
    if found.generations < wanted:
        words.append(f"The budget buys no step of such groups, so they have {found.generations}.")
    words.append(
        f"{found.problems} problems a step: any moderate number did (1.9% to 2.2% of variation, against 3.8% to 9.2% "
        f"for num_generations), with a higher floor on hard and mixed sets; fewer where there would be less than "
        f"{ENOUGH_STEPS} steps."
    )
    return tuple(words)


def _sure(
    difficulty: Difficulty, base: Measurement, rollouts: int, between: tuple[int, int] | None
) -> tuple[str, ...]:
    """How sure the prior is, in sentences."""
    words = [
        "A prior, not a measurement of this model: the constants are those of Qwen2.5-7B-Instruct on mathematics under "
        "GRPO, read off published figures (IsoCompute, arXiv 2603.12151)."
    ]
    if between is None:
        words.append("How far num_generations may be from the best one is not known here.")
    else:
        span = f"at {between[0]}" if between[0] == between[1] else f"between {between[0]} and {between[1]}"
        words.append(f"The two published ways of fitting it leave num_generations {span}.")
    if difficulty.easiness == 1:
        others = " and ".join(f"{name} at {most}" for name, most in prior.OTHER_MODELS.items())
        words.append(f"Other models saturated lower on easy sets, which that range counts in: {others}.")
    share = ", ".join(f"{100 * part:.0f}% {name}" for name, part in difficulty.shares.items() if part)
    words.append(
        f"The set was told to be {difficulty.name} by {len(base.rates)} problems with {base.samples} samples each: "
        f"{share}."
    )
    return (
        *words,
        *difficulty.said,
        "`hone sweep` and `hone plan --sweep` replace the prior by your own runs.",
    )


def _scale_warnings(rollouts: int) -> tuple[str, ...]:
    low, high = prior.MEASURED
    if rollouts < low:
        return (
            f"{rollouts:,} rollouts are {low / rollouts:.1f} times below the range that the constants were measured "
            f"in ({low:,.0f} to {high:,.0f}): num_generations sits at the floor of {prior.FLOOR}, the smallest group "
            "that was tried.",
        )
    if rollouts > high:
        return (
            f"{rollouts:,} rollouts are {rollouts / high:.1f} times above the range that the constants were measured "
            f"in ({low:,.0f} to {high:,.0f}): num_generations is taken to stay where it saturated.",
        )
    return ()


def _base_warnings(base: Measurement, budget: Budget) -> tuple[str, ...]:
    words = []
    if budget.unit != "rollouts":
        words.append(
            "The cost of a rollout is the base model's; completions become longer or shorter in training."
        )
    if budget.unit in ("hours", "price") and base.no_signal > 0:
        words.append(
            f"{100 * base.no_signal:.0f}% of the groups of the timed step had no signal and were not trained on; where "
            "more have one, steps take longer."
        )
    if base.truncated > 0.1:
        words.append(
            f"{100 * base.truncated:.0f}% of the answers were cut off by `max_completion_length`: raise it first, or "
            "the difficulty is that of the limit."
        )
    return tuple(words)
