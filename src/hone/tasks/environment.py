"""Environments as a task: a problem is an attempt to be made, named by its environment and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hone import environments
from hone.core.environment import Environment
from hone.core.options import require
from hone.core.problem import Problem, Split, Verdict, split_of, stable_hash
from hone.tasks.procedural import ATTEMPTS, check_index, check_split


@dataclass(frozen=True)
class EnvironmentTask:
    """Attempts in `environment` (`key_door`, `lock`, `hidden_arm`, `latent_strategy`, `babyai`, `gym`) with its
    `settings`. Seeds are split into those of training and those of the test.

    The prompt is the first state. An answer is the list of actions taken, with spaces between them (or without any,
    where each is one character); its reward is the sum of the attempt's rewards, each worth `discount` a step before.
    TaskError for an unknown environment or setting.
    """

    environment: str = "key_door"
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    discount: float = 1.0
    name: str = field(init=False)

    def __post_init__(self) -> None:
        require("task.discount", self.discount, 0 < self.discount <= 1, "above 0 and at most 1")
        object.__setattr__(self, "settings", dict(self.settings))
        object.__setattr__(self, "name", f"environment:{self.environment}")
        environments.make(self.environment, self.settings)  # raises for what cannot be made

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The attempt at `index` of `split`."""
        check_split(self.name, split)
        check_index(self.name, index, None)
        for attempt in range(ATTEMPTS):
            seed = stable_hash(self.environment, self.settings, split, index, attempt) % 2**31
            if split_of(f"seed {seed}") == split:
                break
        world = environments.make(self.environment, self.settings)
        return Problem(
            prompt=world.reset(seed),
            answer=seed,
            task=self.name,
            meta={"seed": seed, "horizon": world.horizon},
        )

    def size(self, split: Split = "train") -> int | None:
        """None: there are as many attempts as seeds, even where all of them begin alike."""
        return None

    def start(self, problem: Problem) -> Environment:
        """A fresh environment, reset to the problem's seed."""
        world = environments.make(self.environment, self.settings)
        world.reset(int(problem.answer))
        return world

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Play the actions of `text`. What follows the end is not judged; what is no action ends it with reward 0."""
        world = self.start(problem)
        actions = moves(text, world.actions)
        if actions is None:
            return Verdict(0.0, detail="not a list of actions")
        earned, worth = 0.0, 1.0
        for taken, action in enumerate(actions, start=1):
            step = world.step(action)
            earned, worth = earned + worth * step.reward, worth * self.discount
            if step.done:
                return Verdict(earned, answer=" ".join(actions[:taken]), parts={"steps": float(taken)})
        return Verdict(earned, answer=" ".join(actions), detail="stopped before the end")

    def parse(self, text: str) -> str | None:
        """The actions as they were written, or None for nothing."""
        return " ".join(text.split()) or None

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether the same actions were taken."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The actions."""
        return answer or ""


def moves(text: str, actions: tuple[str, ...]) -> list[str] | None:
    """The actions that `text` lists, or None if it lists something else."""
    words = text.split()
    if all(len(action) == 1 for action in actions):
        words = list("".join(words))
    return words if words and all(word in actions for word in words) else None
