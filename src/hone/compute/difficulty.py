"""Difficulty classes: what a pass-rate histogram of the base model says of a set of problems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hone.core.errors import DataError

if TYPE_CHECKING:
    from jaxtyping import Float

Name = Literal["extremely hard", "hard", "in between", "heterogeneous", "easy", "very easy"]
Row = Literal["easy", "hard"]

HARD_MOST = 1 / 16  # avg@16 of a hard problem, at most
EASY = (0.3, 0.6)
VERY_EASY_MOST = 0.9
NEVER = 128  # samples without a success that make a problem extremely hard
MOST = 2 / 3  # share of the problems that names a set; ours, for published sets were filtered to one class
SOME = 1 / 4  # share of the hard, and of the easy or easier, that makes a set heterogeneous; ours


@dataclass(frozen=True)
class Difficulty:
    """A set's class. `shares` are of its problems by their own class, and sum to 1.

    `easiness` weighs the two published curves: 1 takes that of Easy sets, 0 that of Hard ones, between them both.
    `row` is the row of the recipe table. `said` is how the set was told and treated, in sentences.
    """

    name: Name
    shares: dict[str, float]
    easiness: float
    row: Row
    said: tuple[str, ...]


def shares_of(rates: Float[np.ndarray, "problems"]) -> dict[str, float]:
    """Shares of problems by their class: hard up to 1/16, easy from 0.3 to 0.6, very easy to 0.9, solved above."""
    edges = {
        "hard": rates <= HARD_MOST,
        "between hard and easy": (rates > HARD_MOST) & (rates < EASY[0]),
        "easy": (rates >= EASY[0]) & (rates <= EASY[1]),
        "very easy": (rates > EASY[1]) & (rates <= VERY_EASY_MOST),
        "solved": rates > VERY_EASY_MOST,
    }
    return {name: float(inside.mean()) for name, inside in edges.items()}


def classify(rates: Float[np.ndarray, "problems"], samples: int) -> Difficulty:
    """The class of a set, from the base model's pass rate on each of some of its problems with `samples` samples.

    A set is named after the class that two thirds of its problems have. One with a quarter or more at both ends is
    heterogeneous; any other is in between, which is said. Classes after the IsoCompute Playbook (arXiv 2603.12151),
    which told them by 16 samples a problem. Raises DataError without problems or samples.
    """
    rates = np.asarray(rates, dtype=np.float64)
    if rates.ndim != 1 or not len(rates) or samples < 1 or not ((rates >= 0) & (rates <= 1)).all():
        raise DataError("There are no pass rates to tell a difficulty by.", "Give one in [0, 1] a problem.")
    shares = shares_of(rates)
    said = (
        () if samples >= 16 else (f"Problems were told by {samples} samples each, not by 16 as published.",)
    )
    if not rates.any():
        return _never(shares, samples, said)
    upper = shares["easy"] + shares["very easy"] + shares["solved"]
    if shares["hard"] >= MOST:
        return Difficulty("hard", shares, 0.0, "hard", said)
    if shares["easy"] >= MOST:
        return Difficulty("easy", shares, 1.0, "easy", said)
    if upper - shares["easy"] >= MOST:
        return Difficulty(
            "very easy", shares, 1.0, "easy",
            (*said, "Very easy sets were not swept by themselves: treated as easy, and little is left to gain."),
        )  # fmt: skip
    if shares["hard"] >= SOME and upper >= SOME:
        return Difficulty(
            "heterogeneous", shares, 0.5, "hard",
            (*said, "Heterogeneous: num_generations lies half way between the curves of easy and hard sets in "
             "log2, the rest follows hard sets."),
        )  # fmt: skip
    if upper >= MOST:
        return Difficulty(
            "in between", shares, 1.0, "easy", (*said, "Between easy and very easy: treated as easy.")
        )
    return Difficulty(
        "in between", shares, 0.5, "hard",
        (*said, "Between hard and easy: num_generations lies half way between their curves in log2; no KL and no "
         "entropy term, because on hard sets they did harm (0.089 against 0.000) and without them easy sets lost "
         "little (0.583 against 0.597)."),
    )  # fmt: skip


def _never(shares: dict[str, float], samples: int, said: tuple[str, ...]) -> Difficulty:
    """A set on which the base model never succeeded."""
    if samples >= NEVER:
        words = (
            f"No success in {samples} samples of any problem: treated as hard. Reward alone may find nothing."
        )
        return Difficulty("extremely hard", shares, 0.0, "hard", (*said, words))
    words = (
        f"No success in {samples} samples of any problem: it may be extremely hard (none in {NEVER}); treated as "
        "hard. Reward alone may find nothing."
    )
    return Difficulty("hard", shares, 0.0, "hard", (*said, words))
