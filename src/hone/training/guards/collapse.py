"""The guard of runs without labels: signs that answers no longer depend on their prompts. Pure functions."""

from __future__ import annotations

from statistics import fmean

from hone.core.guards import CollapseGuard
from hone.training.guards.readings import Past, Readings


def collapsed(now: Readings, past: Past, guard: CollapseGuard, setting: object) -> str | None:
    """One answer for most prompts, answers that tell less of their prompts, or majorities that grow for nothing."""
    if now.mode_share is not None and now.mode_share > guard.mode_share:
        return f"one answer has {now.mode_share:.0%} of all prompts' answers, above {guard.mode_share:.0%}"
    most, recent = past.most_information, _recent(now, past, guard)
    if most is not None and len(recent) == guard.window and fmean(recent) < guard.information * most:
        return (
            f"answers tell {fmean(recent):.3g} nats of their prompts in the last {guard.window} steps, below "
            f"{guard.information:g} of the {most:.3g} that they told"
        )
    return _for_nothing(past, guard)


def remember(past: Past, now: Readings, guard: CollapseGuard) -> None:
    """Take note of a step that has been looked at."""
    past.majority = now.majority if now.majority is not None else past.majority
    past.information = _recent(now, past, guard)
    if len(past.information) == guard.window:
        past.most_information = max(fmean(past.information), past.most_information or 0.0)


def _recent(now: Readings, past: Past, guard: CollapseGuard) -> list[float]:
    if now.information is None:
        return past.information
    return [*past.information, now.information][-guard.window :]


def _for_nothing(past: Past, guard: CollapseGuard) -> str | None:
    """Majorities that have grown since the best evaluation, while no later one was better."""
    before, after = past.labelled[: -guard.evaluations], past.labelled[-guard.evaluations :]
    if not before:
        return None
    best = max(before, key=lambda row: row[0])
    if max(row[0] for row in after) > best[0] or after[-1][1] <= best[1] + guard.rise:
        return None
    return (
        f"the mean majority grew from {best[1]:.0%} to {after[-1][1]:.0%}, while the last {guard.evaluations} "
        f"evaluations found no more than the {best[0]:.1%} of before"
    )
