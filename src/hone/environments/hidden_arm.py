"""The hidden arm: one of several arms pays, and only trying tells which. Longer attempts can always help."""

from __future__ import annotations

import random

from hone.environments.base import Attempt, check_size

LETTERS = "abcdefghijklmnop"


class HiddenArm(Attempt):
    """`arms` arms (2 to 16), one of which pays 1 and ends the attempt; the seed says which, and no text does.

    The state lists what was tried, in order: `arms abcd, tried ca>`. The best a policy can do is to try each arm once:
    it finds the hidden one after t of A tries with probability t / A. The horizon is `horizon`, or twice the arms.
    """

    def __init__(self, arms: int = 4, horizon: int = 0) -> None:
        super().__init__()
        check_size("hidden_arm", "arms", arms, 2, len(LETTERS))
        check_size("hidden_arm", "horizon", horizon, 0, 10_000)
        self.actions = tuple(LETTERS[:arms])
        self.horizon = horizon or 2 * arms
        self.hidden, self.tried = 0, ""

    def begin(self, rng: random.Random) -> None:
        """Draw the arm that pays."""
        self.hidden, self.tried = rng.randrange(len(self.actions)), ""

    def move(self, action: int) -> tuple[float, bool]:
        """Pull an arm."""
        self.tried += self.actions[action]
        return float(action == self.hidden), action == self.hidden

    @property
    def state(self) -> str:
        """The arms, and those tried."""
        return f"arms {''.join(self.actions)}, tried {self.tried}>"

    def advice(self) -> str:
        """The arm that pays."""
        return self.actions[self.hidden]
