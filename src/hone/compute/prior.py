"""The published constants as a prior: num_generations and problems_per_step for a budget of rollouts, nothing measured.

All figures are those of the IsoCompute Playbook (arXiv 2603.12151): Qwen2.5-7B-Instruct on Guru-Math under GRPO,
between 1e5 and 1e7 rollouts. What the paper does not say and is chosen here is marked as ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from hone.compute.difficulty import Difficulty
from hone.compute.published import published
from hone.core.errors import RecipeError

FLOOR = 8  # the smallest group of the published grid
CEILING = 512  # the largest that ever moved a frontier, of up to 2048 tried
MEASURED = (1e5, 1e7)  # rollouts that the constants were measured at
SATURATION = {"easy": 512, "hard": 128}  # best group at the largest budgets
DATA = ((500, 256), (6000, 512))  # problems of an easy set, and the best group on them
OTHER_MODELS = {"Qwen3-4B": 64, "Llama-3.1-8B": 16}  # best group on easy sets at their largest budgets
PROBLEMS = {"easy": 32, "hard": 64}  # of a step; the published range is 32 to 1024, the split of it ours
LEAST_PROBLEMS = {"easy": 8, "hard": 16}  # where the budget is small; 8 is the smallest that was tried
FIXED_BATCH = 8192  # rollouts of a step at which the split of a fixed batch was measured
# Best group for the best, and for the worst, of four at problems_per_step 32, 64, 128, 256 and the largest budget.
BEST_OF = {"easy": (512, 128, 8, 16), "hard": (256, 128, 128, 32)}
WORST_OF = {"easy": (512, 256, 128, 64), "hard": (64, 32, 8, 8)}


@dataclass(frozen=True)
class Target:
    """The figure to be raised: pass@1, or the best or the worst of `k` answers."""

    kind: Literal["mean", "best", "worst"]
    k: int

    @classmethod
    def of(cls, text: str) -> Target:
        """`pass@1`, `best@4` (also `pass@4`) or `worst@4`. Raises RecipeError for other text."""
        name, _, number = text.partition("@")
        if name in ("pass", "best", "worst") and number.isdigit() and int(number) >= 1:
            k = int(number)
            return cls("mean" if k == 1 else "worst" if name == "worst" else "best", k)
        raise RecipeError(f"`{text}` is no target.", "Write pass@1, best@4 or worst@4.")

    @property
    def metric(self) -> str:
        """Its name in a series of readings."""
        return "pass@1" if self.k == 1 else f"{'worst' if self.kind == 'worst' else 'pass'}@{self.k}"


def log2_generations(rollouts: float, difficulty: Difficulty, setting: Literal["q1", "q3"] = "q1") -> float:
    """log2 of the best group for a budget, between the Easy and the Hard curve by easiness; no limit is applied.

    `q1` are the curves at 32 problems a step, which plans use; `q3` those with both numbers free.
    """
    easy = published(f"{setting}_easy").curve.log2_at(rollouts)
    hard = published(f"{setting}_hard").curve.log2_at(rollouts)
    return float(difficulty.easiness * easy + (1 - difficulty.easiness) * hard)


def log2_saturation(difficulty: Difficulty, train_problems: int | None) -> float:
    """log2 of the largest group that pays. Few problems lower it.

    On easy sets 6,000 problems carried groups of 512 and 500 problems 256: linear in the logarithm between them, and
    with the same slope below; the same loss of bits on hard sets. Both are ours. A task that makes its problems as
    they are drawn (None) loses nothing.
    """
    top = math.log2(SATURATION["easy"]) * difficulty.easiness
    top += math.log2(SATURATION["hard"]) * (1 - difficulty.easiness)
    if train_problems is None:
        return top
    (few, at_few), (many, at_many) = DATA
    slope = math.log2(at_many / at_few) / math.log(many / few)
    return top - slope * max(0.0, math.log(many / max(train_problems, 1)))


def log2_shift(target: Target, difficulty: Difficulty, rollouts: float) -> float:
    """Bits by which a target other than pass@1 moves the best group.

    Half of the mean log2 ratio between the best groups for worst@4 and best@4: 0.875 bits up for worst and down for
    best on easy sets, 1.25 bits up for best and down for worst on hard ones. They were seen at the largest budget;
    splitting them evenly about pass@1, and letting them grow with n*'s way from its floor to its ceiling, is ours.
    """
    if target.kind == "mean":
        return 0.0
    bits = {
        row: sum(math.log2(worst / best) for worst, best in zip(WORST_OF[row], BEST_OF[row]))
        / len(BEST_OF[row])
        for row in ("easy", "hard")
    }
    curves = {row: published(f"q1_{row}").curve for row in bits}
    way = {row: (curves[row].log2_at(rollouts) - curves[row].b) / curves[row].L for row in bits}
    easy, hard = (bits[row] / 2 * way[row] for row in ("easy", "hard"))
    shift = difficulty.easiness * easy + (1 - difficulty.easiness) * hard
    return shift if target.kind == "worst" else -shift


def best_generations(
    rollouts: float,
    difficulty: Difficulty,
    target: Target,
    train_problems: int | None = None,
    setting: Literal["q1", "q3"] = "q1",
) -> int:
    """The group that the prior takes: a power of two between 8 and the saturation, for the grid was no finer."""
    shift = log2_shift(target, difficulty, rollouts)
    top = max(math.log2(FLOOR), log2_saturation(difficulty, train_problems) + max(0.0, shift))
    wanted = min(log2_generations(rollouts, difficulty, setting) + shift, top, math.log2(CEILING))
    return int(2 ** max(round(wanted), round(math.log2(FLOOR))))


def likely_generations(
    rollouts: float, difficulty: Difficulty, target: Target, train_problems: int | None = None
) -> tuple[int, int] | None:
    """The range that the published evidence leaves: both ways of fitting it, and where other models saturated.

    None below 1e5 rollouts: no smaller budget and no group below 8 was tried, so the best one is not known.
    """
    if rollouts < MEASURED[0]:
        return None
    found = [best_generations(rollouts, difficulty, target, train_problems, q) for q in ("q1", "q3")]
    if difficulty.easiness == 1:
        found += [min(found[0], most) for most in OTHER_MODELS.values()]
    return min(found), max(found)


def split_batch(batch: int, steps: float, most: int) -> int:
    """The group for a fixed batch of `batch` rollouts and so many steps, a power of two from 2 to `most`.

    Few steps want many problems and small groups, many steps the reverse. The published curve is for 8,192 rollouts a
    step on an easy set; at other batches the group takes the same share of the batch's bits, which is ours.
    """
    share = published("q2_easy_n").curve.log2_at(steps) / math.log2(FIXED_BATCH)
    wanted = min(round(share * math.log2(batch)), math.floor(math.log2(most)))
    return int(2 ** max(1, wanted))
