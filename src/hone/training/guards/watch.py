"""The guards of one run: which of them a look trips, with the patience and the memory that they need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hone.core.guards import Action, Guard, Guards
from hone.core.recipe import Recipe
from hone.policies.token_policy import TokenPolicy
from hone.training.guards import checks, collapse
from hone.training.guards.checks import OF_ROLLOUTS, OF_UPDATES, Check, Setting
from hone.training.guards.readings import Finding, Past, Readings

GRAVITY: tuple[Action, ...] = ("ignore", "warn", "skip", "stop")


@dataclass(frozen=True)
class Trip:
    """A finding whose guard has lost its patience: what it does, and whether the look before did not trip it yet."""

    finding: Finding
    action: Action
    first: bool


@dataclass
class Watch:
    """Looks at readings with the run's past. What it remembers is a pure function of the looks before."""

    settings: Guards
    setting: Setting
    past: Past = field(default_factory=Past)
    tripped: int = 0  # in this step, skipped ones included
    skipped: int = 0  # updates of this step
    rollouts: Readings = field(default_factory=Readings)  # of this step

    def begin(self) -> None:
        """A step starts here."""
        self.tripped = self.skipped = 0
        self.rollouts = Readings()

    def look_at_rollouts(self, now: Readings) -> list[Trip]:
        """What a step's rollouts trip, gravest first."""
        trips = self._look(OF_ROLLOUTS, now)
        self.rollouts = now
        if self.past.entropy is None:
            self.past.entropy = now.entropy
        if now.length is not None:
            keep = 2 * self.settings.length.window - 1  # the present step completes both windows
            self.past.lengths = [*self.past.lengths, checks.row_of(now)][-keep:]
        collapse.remember(self.past, now, self.settings.collapse)
        return trips

    def evaluated(self, pass_rate: float) -> None:
        """Problems with labels were evaluated between two steps."""
        if self.past.majority is not None:
            self.past.labelled = [*self.past.labelled, [pass_rate, self.past.majority]]

    def look_at_update(self, now: Readings) -> list[Trip]:
        """What an update trips before its optimizer step, gravest first."""
        return self._look(OF_UPDATES, now)

    def stepped(self, grad_norm: float | None) -> None:
        """The optimizer made a step."""
        self.past.skips = 0
        if grad_norm is not None and math.isfinite(grad_norm):
            self.past.grad_norms = [*self.past.grad_norms, grad_norm][-checks.NORMS :]
            self.past.highest_grad_norm = max(self.past.highest_grad_norm, grad_norm)

    def skip(self) -> bool:
        """An update is skipped. Returns whether it is one too many in a row."""
        self.skipped += 1
        self.past.skips += 1
        return self.past.skips >= self.settings.max_skips

    def line(self) -> dict[str, float | int | None]:
        """What metrics.jsonl says of the guards: counts, and those readings that no other key has."""
        counts: dict[str, float | int | None] = {
            "guards/tripped": self.tripped,
            "guards/skipped": self.skipped,
        }
        now = self.rollouts
        if now.length is None:  # nothing was sampled
            return counts
        return counts | {
            "guards/entropy": now.entropy,
            "guards/repetition": now.repetition,
            "guards/constant_rewards": now.constant,
            "guards/length_reward": now.length_reward,
        }

    def _look(self, table: Mapping[str, Check], now: Readings) -> list[Trip]:
        trips = []
        for name, says in found(table, now, self.past, self.settings, self.setting).items():
            guard: Guard = getattr(self.settings, name)
            streak = self.past.streaks.get(name, 0) + 1 if says else 0
            self.past.streaks[name] = streak
            if says and streak >= guard.patience:
                trips.append(Trip(Finding(name, says), guard.action, streak == guard.patience))
        self.tripped += len(trips)
        return sorted(trips, key=lambda trip: -GRAVITY.index(trip.action))


def found(
    table: Mapping[str, Check], now: Readings, past: Past, settings: Guards, setting: Setting
) -> dict[str, str | None]:
    """What each guard of `table` that is not ignored says of a look."""
    guards = {name: getattr(settings, name) for name in table}
    return {
        name: check(now, past, guards[name], setting)
        for name, check in table.items()
        if guards[name].action != "ignore"
    }


def watch(recipe: Recipe, policy: TokenPolicy) -> Watch:
    """The guards of a run that starts."""
    vocabulary = policy.model.config.get_text_config().vocab_size
    return Watch(recipe.guards, Setting(vocabulary, recipe.max_grad_norm))
