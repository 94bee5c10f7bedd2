"""The contract of text environments: what an agent reads, what it can do, and what that is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hone.core.errors import TaskError
from hone.core.problem import Problem, Task


@dataclass(frozen=True)
class Step:
    """What one action led to: the next observation, the reward of the action, and whether the attempt is over."""

    observation: str
    reward: float
    done: bool


class Environment(Protocol):
    """One attempt in a text environment. An instance is changed by playing; tasks make a fresh one for each attempt.

    Everything is a pure function of the seed of `reset` and the actions since: two plays with equal ones are equal.
    """

    @property
    def actions(self) -> tuple[str, ...]:
        """What can be done in every state, in a fixed order. Single words: white space separates them in lists."""
        ...

    @property
    def horizon(self) -> int:
        """Steps after which an attempt is over at the latest."""
        ...

    @property
    def state(self) -> str:
        """The present state as a prompt of its own: all that the next decision needs, ended by `>`."""
        ...

    def reset(self, seed: int) -> str:
        """Begin the attempt of `seed`; returns the first observation."""
        ...

    def step(self, action: str) -> Step:
        """Act. Raises TaskError for what is no action, and after the end."""
        ...


@runtime_checkable
class Advises(Protocol):
    """An environment that knows what would be best now. It is privileged: no policy sees it."""

    def advice(self) -> str:
        """The best action in the present state."""
        ...


@runtime_checkable
class Playable(Protocol):
    """A task whose problems are attempts in an environment."""

    @property
    def discount(self) -> float:
        """What a reward one step later is worth."""
        ...

    def start(self, problem: Problem) -> Environment:
        """A fresh environment, reset to the problem's seed."""
        ...


def playable(task: Task) -> Playable:
    """`task` as one that can be played. Raises TaskError for one that cannot."""
    if isinstance(task, Playable):
        return task
    raise TaskError(
        f"Task `{task.name}` has no environment to play in.",
        "Use `task: environment`, or an episode of one answer (`episode: single_turn`).",
    )


def hinted(state: str, feedback: str) -> str:
    """The state's prompt with feedback in it, before the mark that ends it. Nothing to say leaves it as it is."""
    return f"{state.removesuffix('>')} {feedback}>" if feedback else state
