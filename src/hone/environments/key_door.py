"""The key-door line: go left for the key, then right to the door. Its advantages are known exactly."""

from __future__ import annotations

import random

from hone.environments.base import Attempt, check_size


class KeyDoor(Attempt):
    """A line of `length` cells (5 to 31): key at the left end, door at the right one, the agent starts in the middle.

    Actions are `L` and `R`; a step into an end stays there. Reward 1 at the door with the key, which ends the attempt;
    the horizon is `horizon` steps, or 4 times the length. Every seed is the same attempt. The state shows the line:
    `k..a..d>`, and once the key is taken `...A..d>`, less the cell that the agent hides.
    Source: the 1D Key-Door of arXiv 2602.17497.
    """

    actions = ("L", "R")

    def __init__(self, length: int = 7, horizon: int = 0) -> None:
        super().__init__()
        check_size("key_door", "length", length, 5, 31)
        check_size("key_door", "horizon", horizon, 0, 10_000)
        self.length, self.horizon = length, horizon or 4 * length
        self.place, self.key = length // 2, False

    def begin(self, rng: random.Random) -> None:
        """Nothing is drawn."""
        self.place, self.key = self.length // 2, False

    def move(self, action: int) -> tuple[float, bool]:
        """One cell to the left or right."""
        self.place = max(0, self.place - 1) if action == 0 else min(self.length - 1, self.place + 1)
        self.key = self.key or self.place == 0
        solved = self.key and self.place == self.length - 1
        return float(solved), solved

    @property
    def state(self) -> str:
        """The line as text."""
        cells = ["."] * self.length
        cells[0], cells[-1] = "." if self.key else "k", "d"
        cells[self.place] = "A" if self.key else "a"
        return "".join(cells) + ">"

    def advice(self) -> str:
        """To the key, then to the door."""
        return "R" if self.key else "L"
