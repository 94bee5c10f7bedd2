"""The combination lock: one sequence of turns opens it, and a wrong turn throws it back."""

from __future__ import annotations

import random

from hone.environments.base import Attempt, check_size

LETTERS = "abcdefgh"


class CombinationLock(Attempt):
    """A lock with `length` turns (2 to 20) of `symbols` kinds (2 to 8); a wrong turn goes back to the start.

    Seeds choose one of `locks` locks, whose combination is fixed for good and whose number the state shows with the
    turns made so far: `lock 3:ab>`. Reward 1 when it opens. The horizon is twice the length.
    """

    def __init__(self, length: int = 5, symbols: int = 3, locks: int = 16) -> None:
        super().__init__()
        check_size("lock", "length", length, 2, 20)
        check_size("lock", "symbols", symbols, 2, len(LETTERS))
        check_size("lock", "locks", locks, 1, 1_000_000)
        self.length, self.locks, self.horizon = length, locks, 2 * length
        self.actions = tuple(LETTERS[:symbols])
        self.number, self.secret, self.done_so_far = 0, "", ""

    def begin(self, rng: random.Random) -> None:
        """Draw which lock it is."""
        self.number = rng.randrange(self.locks)
        own = random.Random(f"lock {self.number} {self.length} {len(self.actions)}")
        self.secret = "".join(own.choice(self.actions) for _ in range(self.length))
        self.done_so_far = ""

    def move(self, action: int) -> tuple[float, bool]:
        """A right turn is kept."""
        turned = self.done_so_far + self.actions[action]
        self.done_so_far = turned if self.secret.startswith(turned) else ""
        opened = self.done_so_far == self.secret
        return float(opened), opened

    @property
    def state(self) -> str:
        """The lock's number and the turns that hold."""
        return f"lock {self.number}:{self.done_so_far}>"

    def advice(self) -> str:
        """The next turn of the combination."""
        return self.secret[min(len(self.done_so_far), self.length - 1)]
