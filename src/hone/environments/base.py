"""What the small exact environments share: the count of steps, the checks, and seeds that are numbers of a stream."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence

from hone.core.environment import Step
from hone.core.errors import TaskError
from hone.core.problem import stable_hash


class Attempt(ABC):
    """Counts the steps of an attempt and ends it at the horizon. Subclasses say what an action does in `move`."""

    actions: tuple[str, ...]
    horizon: int

    def __init__(self) -> None:
        self.taken = 0
        self.over = True  # until the first reset

    def reset(self, seed: int) -> str:
        """Begin the attempt of `seed`; returns the first observation."""
        self.taken, self.over = 0, False
        self.begin(random.Random(stable_hash(type(self).__name__, seed)))
        return self.state

    def step(self, action: str) -> Step:
        """Act. Raises TaskError for what is no action, and after the end."""
        check_action(action, self.actions, self.over)
        self.taken += 1
        reward, done = self.move(self.actions.index(action))
        self.over = done or self.taken >= self.horizon
        return Step(self.state, reward, self.over)

    @property
    @abstractmethod
    def state(self) -> str:
        """The present state as a prompt."""

    @abstractmethod
    def begin(self, rng: random.Random) -> None:
        """Draw what the seed decides."""

    @abstractmethod
    def move(self, action: int) -> tuple[float, bool]:
        """The reward of an action, and whether it ends the attempt; `action` is its index in `actions`."""


def check_action(action: str, actions: Sequence[str], over: bool) -> None:
    """Raise TaskError for an action that does not exist, or one after the end."""
    if over:
        raise TaskError("The attempt is over, or has not begun.", "Call `reset` first.")
    if action not in actions:
        raise TaskError(f"`{action}` is no action here.", f"Use one of {', '.join(actions)}.")


def check_size(name: str, key: str, value: int, low: int, high: int) -> None:
    """Raise TaskError for an option out of range."""
    if not low <= value <= high:
        raise TaskError(
            f"Environment `{name}`: `{key}` is {value}.", f"Give a whole number from {low} to {high}."
        )
