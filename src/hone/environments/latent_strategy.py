"""The latent strategy: several plans exist, one works today, and whoever mixes them fails."""

from __future__ import annotations

import random

from hone.environments.base import Attempt, check_size

LETTERS = "abcdefgh"


class LatentStrategy(Attempt):
    """`strategies` plans (2 to 8) of `length` moves (2 to 12); the seed says which one works.

    Plan i is the same for every seed: its first move is the letter i, and each later one is drawn once for all. The
    first line of the state says what day it is (one of `days`), and the day decides the plan, so that a policy can
    learn which plan to take and how to carry each out. Reward 1 at the end of a plan played without a slip; a slip
    ends the attempt.
    """

    def __init__(self, strategies: int = 4, length: int = 4, days: int = 16) -> None:
        super().__init__()
        check_size("latent_strategy", "strategies", strategies, 2, len(LETTERS))
        check_size("latent_strategy", "length", length, 2, 12)
        check_size("latent_strategy", "days", days, 1, 1_000_000)
        self.actions = tuple(LETTERS[:strategies])
        self.length, self.days, self.horizon = length, days, length
        self.plans = tuple(self._plan(i) for i in range(strategies))
        self.day, self.right, self.played = 0, 0, ""

    def _plan(self, i: int) -> str:
        own = random.Random(f"plan {i} of {len(self.actions)}, {self.length} moves")
        return self.actions[i] + "".join(own.choice(self.actions) for _ in range(self.length - 1))

    def begin(self, rng: random.Random) -> None:
        """Draw the day."""
        self.day, self.played = rng.randrange(self.days), ""
        self.right = random.Random(f"day {self.day} of {len(self.actions)}").randrange(len(self.actions))

    def move(self, action: int) -> tuple[float, bool]:
        """The next move of whatever plan is being played."""
        self.played += self.actions[action]
        held = self.plans[self.right].startswith(self.played)
        solved = held and len(self.played) == self.length
        return float(solved), solved or not held

    @property
    def state(self) -> str:
        """The day and the moves so far."""
        return f"day {self.day}:{self.played}>"

    def advice(self) -> str:
        """The next move of the right plan."""
        return self.plans[self.right][min(len(self.played), self.length - 1)]
