"""What one rollout costs, sampled and trained, and how many of them a budget in another unit buys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from hone.compute.cost import Decoder, causal_pairs, rollout_flops, sampling_work, training_flops
from hone.core.errors import RecipeError, nearest

BudgetUnit = Literal["rollouts", "sampled_tokens", "tokens", "flops", "hours", "price"]
SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True)
class Budget:
    """So much of a unit; RecipeError if that has no meaning.

    Units are rollouts, sampled_tokens, tokens (prompts, sampled and trained ones, as computed), flops, hours of steps,
    and price at `price_per_hour`.
    """

    amount: float
    unit: BudgetUnit = "rollouts"
    price_per_hour: float | None = None

    def __post_init__(self) -> None:
        if self.unit not in get_args(BudgetUnit):
            raise RecipeError(
                f"A budget in `{self.unit}` is not known.", nearest(self.unit, get_args(BudgetUnit))
            )
        if not 0 < self.amount < float("inf"):
            raise RecipeError(f"The budget is {self.amount!r}.", "It must be above 0, and finite.")
        if self.unit == "price" and not self.price_per_hour:
            raise RecipeError(
                "A budget in `price` needs what an hour costs.", "Give `--price-per-hour` as well."
            )
        if self.price_per_hour is not None and not 0 < self.price_per_hour < float("inf"):
            raise RecipeError(
                f"The price of an hour is {self.price_per_hour!r}.", "It must be above 0, and finite."
            )


@dataclass(frozen=True)
class RolloutCost:
    """Means over measured rollouts. The prompt of a group is sampled from and trained on once for all its rollouts.

    `prompt_flops` is one forward pass over a prompt; `sampled_flops` samples a completion below it, `forward_flops`
    passes over it once more; all None for an architecture whose cost is not known. A batch is trained on `updates`
    times; with the scoring passes that is the work of `passes` forward ones. `seconds` are of a rollout in a whole
    measured step, None if none was taken.
    """

    prompt_tokens: float
    completion_tokens: float
    updates: int
    passes: int
    prompt_flops: float | None = None
    sampled_flops: float | None = None
    forward_flops: float | None = None
    seconds: float | None = None

    def flops(self, num_generations: int) -> float | None:
        """Operations of one rollout in a group of `num_generations`, sampled and trained."""
        if self.prompt_flops is None or self.sampled_flops is None or self.forward_flops is None:
            return None
        prompt = (1 + self.passes) * self.prompt_flops / num_generations
        return prompt + self.sampled_flops + self.passes * self.forward_flops

    def each(self, budget: Budget, num_generations: int) -> float:
        """What one rollout takes of `budget`. RecipeError if that was not or cannot be measured."""
        if budget.unit == "rollouts":
            return 1.0
        if budget.unit == "sampled_tokens":
            return max(self.completion_tokens, 1.0)
        if budget.unit == "tokens":
            return (1 + self.updates) * (self.prompt_tokens / num_generations + self.completion_tokens)
        if budget.unit == "flops":
            found = self.flops(num_generations)
            if found is None:
                raise RecipeError(
                    "The FLOPs of this model are not known: it is no decoder of the Llama family.",
                    "Give the budget in rollouts, tokens or hours.",
                )
            return found
        if self.seconds is None:
            raise RecipeError("No step was timed.", "Give the budget in rollouts, tokens or FLOPs.")
        hours = self.seconds / SECONDS_AN_HOUR
        return hours * (budget.price_per_hour or 0.0) if budget.unit == "price" else hours

    def affords(self, budget: Budget, num_generations: int) -> int:
        """Whole rollouts that `budget` buys in groups of `num_generations`."""
        return int(budget.amount / self.each(budget, num_generations))

    def words(self, budget: Budget, num_generations: int) -> str:
        """The conversion, in one sentence."""
        each, rollouts = self.each(budget, num_generations), self.affords(budget, num_generations)
        if budget.unit == "rollouts":
            return f"The budget is {rollouts:,} rollouts."
        how = {
            "tokens": f"a rollout takes {each:.1f}, prompts, sampled and trained ones, in groups of {num_generations}",
            "sampled_tokens": f"a completion has {self.completion_tokens:.1f} tokens on average",
            "flops": f"a rollout takes {each:.3g} FLOPs, sampled and trained in groups of {num_generations}",
            "hours": f"a rollout takes {self.seconds or 0:.3g} s of a measured step",
            "price": f"a rollout takes {self.seconds or 0:.3g} s of a measured step, an hour costs "
            f"{budget.price_per_hour or 0:g}",
        }[budget.unit]
        noun = {"flops": "FLOPs", "sampled_tokens": "sampled tokens"}.get(budget.unit, budget.unit)
        return f"{budget.amount:g} {noun} are {rollouts:,} rollouts: {how}."


def cost_of(
    decoder: Decoder | None,
    prompts: Sequence[int],
    lengths: Sequence[Sequence[int]],
    updates: int,
    passes: int,
    seconds: float | None = None,
) -> RolloutCost:
    """The mean cost of measured rollouts: `lengths[p]` tokens of each below a prompt of `prompts[p]` tokens."""
    count, groups = sum(map(len, lengths)), len(prompts)
    tokens = (sum(prompts) / groups, sum(map(sum, lengths)) / count)
    if decoder is None:
        return RolloutCost(*tokens, updates, passes, seconds=seconds)
    pairs = sum(causal_pairs(prompt) for prompt in prompts)
    below = decoder.forward_flops(sum(prompts), 0, pairs)
    sampled = sampling_work(decoder, prompts, lengths, number_bytes=1).flops - below
    forward = rollout_flops(decoder, prompts, lengths) - below
    return RolloutCost(*tokens, updates, passes, below / groups, sampled / count, forward / count, seconds)


def passes_of(updates: int, scored: int, recomputed: bool) -> int:
    """Forward passes' worth of work on a batch: of `updates` passes with gradient, and of `scored` without."""
    return updates * training_flops(1, recomputed) + scored
