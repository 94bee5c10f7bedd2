"""The guards themselves: pure functions of one look's readings, the run's past, and a guard's settings.

Each gives the sentence of what it found, or None. None of them knows about actions, patience or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from hone.core.guards import (
    ConstantRewardsGuard,
    EntropyHighGuard,
    EntropyLowGuard,
    GradientGuard,
    LengthGuard,
    MismatchGuard,
    NanGuard,
    RepetitionGuard,
)
from hone.training.guards.collapse import collapsed
from hone.training.guards.readings import LENGTHS, Past, Readings

NORMS, FEWEST_NORMS = 50, 10  # updates whose median is the run's gradient norm; fewer say nothing yet


@dataclass(frozen=True)
class Setting:
    """What a threshold is relative to beside the run's past."""

    vocabulary: int
    max_grad_norm: float


def nan(now: Readings, past: Past, guard: NanGuard, setting: Setting) -> str | None:
    """Anything of the update that is not finite."""
    if now.finite is not False:
        return None
    return f"the update's loss, logprobs or gradient are not finite (gradient norm {now.grad_norm:g})"


def gradient(now: Readings, past: Past, guard: GradientGuard, setting: Setting) -> str | None:
    """A finite norm above the absolute limit, or clipped, far above the running median, and higher than any before.

    As a run solves its problems the median falls towards 0, and one failure stands far above it: that is no fault.
    """
    norm = now.grad_norm
    if norm is None or not math.isfinite(norm):
        return None
    if norm > guard.norm:
        return f"the gradient's norm is {norm:.3g}, above {guard.norm:g}"
    if len(past.grad_norms) < FEWEST_NORMS or norm <= setting.max_grad_norm:
        return None
    usual = median(past.grad_norms)
    if norm <= max(guard.ratio * usual, past.highest_grad_norm):
        return None
    return (
        f"the gradient's norm is {norm:.3g}, more than {guard.ratio:g} times the run's median of {usual:.3g}"
        " and higher than ever before"
    )


def mismatch(now: Readings, past: Past, guard: MismatchGuard, setting: Setting) -> str | None:
    """The mean or the largest gap between engine and trainer."""
    if now.mismatch_k3 is not None and now.mismatch_k3 > guard.k3:
        return f"engine and trainer differ by k3 = {now.mismatch_k3:.3g} nats a token, above {guard.k3:g}"
    if now.mismatch_max is not None and now.mismatch_max > guard.gap:
        return f"engine and trainer differ by {now.mismatch_max:.3g} nats on a token, above {guard.gap:g}"
    return None


def entropy_low(now: Readings, past: Past, guard: EntropyLowGuard, setting: Setting) -> str | None:
    """Surprisal below the limit."""
    if now.entropy is None or now.entropy >= guard.nats:
        return None
    return f"entropy has collapsed: sampled tokens surprise by {now.entropy:.2g} nats, below {guard.nats:g}"


def entropy_high(now: Readings, past: Past, guard: EntropyHighGuard, setting: Setting) -> str | None:
    """Surprisal above both limits."""
    if now.entropy is None or past.entropy is None:
        return None
    began, most = past.entropy, math.log(setting.vocabulary)
    if now.entropy <= guard.growth * began or now.entropy <= guard.share * most:
        return None
    return (
        f"entropy has exploded: sampled tokens surprise by {now.entropy:.3g} nats, from {began:.3g} when the run "
        f"began; random tokens would by {most:.3g}"
    )


def repetition(now: Readings, past: Past, guard: RepetitionGuard, setting: Setting) -> str | None:
    """Too many completions that end in a loop."""
    if now.repetition is None or now.repetition < guard.share:
        return None
    return f"{now.repetition:.0%} of the completions end in a loop of repeated tokens, at least {guard.share:.0%}"


def constant_rewards(now: Readings, past: Past, guard: ConstantRewardsGuard, setting: Setting) -> str | None:
    """Too many groups without a difference."""
    if now.constant is None or now.constant < guard.share:
        return None
    return (
        f"{now.constant:.0%} of the groups got one reward for all their answers, at least {guard.share:.0%}"
    )


def length(now: Readings, past: Past, guard: LengthGuard, setting: Setting) -> str | None:
    """The three signs, once both windows are full. The present step is the last of the later window."""
    rows = [*past.lengths, row_of(now)][-2 * guard.window :]
    if now.length is None or len(rows) < 2 * guard.window:
        return None
    earlier, later = (_means(part) for part in (rows[: guard.window], rows[guard.window :]))
    linked = later["length_reward"]
    if linked is not None and linked > guard.correlation:
        return (
            f"within groups reward and length have a correlation of {linked:.2f}, above {guard.correlation:g}"
        )
    if earlier["reward"] is None or later["reward"] is None or later["reward"] > earlier["reward"]:
        return None
    rewards = f"while rewards went from {earlier['reward']:.3g} to {later['reward']:.3g}"
    long, short = later["length"] or 0.0, earlier["length"] or 0.0
    if long > guard.growth * short:
        return f"answers grew from {short:.1f} to {long:.1f} tokens {rewards}"
    cut, before = later["truncated"] or 0.0, earlier["truncated"] or 0.0
    if cut - before > guard.truncated:
        return f"answers that the length limit cuts went from {before:.0%} to {cut:.0%} {rewards}"
    return None


def row_of(now: Readings) -> list[float | None]:
    """What the length guard remembers of a step."""
    return [getattr(now, name) for name in LENGTHS]


def _means(rows: list[list[float | None]]) -> dict[str, float | None]:
    """Mean of each column over the steps that have it; None unless half of them do."""
    out: dict[str, float | None] = {}
    for name, column in zip(LENGTHS, zip(*rows)):
        known = [v for v in column if v is not None]
        out[name] = fmean(known) if 2 * len(known) >= len(rows) else None
    return out


Check = Callable[[Readings, Past, Any, Setting], str | None]
OF_ROLLOUTS: Mapping[str, Check] = {
    "entropy_low": entropy_low,
    "entropy_high": entropy_high,
    "repetition": repetition,
    "constant_rewards": constant_rewards,
    "length": length,
    "collapse": collapsed,
}
OF_UPDATES: Mapping[str, Check] = {"nan": nan, "gradient": gradient, "mismatch": mismatch}
