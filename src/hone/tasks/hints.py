"""States of an environment with hints to follow: the supervised warm start of in-context learning from feedback."""

from __future__ import annotations

import functools
import json
import random
from dataclasses import dataclass

from hone import environments
from hone.core.environment import hinted
from hone.core.errors import TaskError
from hone.core.options import require
from hone.core.problem import Problem, Split, Verdict, stable_hash
from hone.tasks.environment import EnvironmentTask
from hone.tasks.procedural import check_index

PLAYED = 128  # attempts of random play whose states are shown


@dataclass(frozen=True)
class Hints(EnvironmentTask):
    """States of `environment`, met by random play, half of them with a hint that names an action (`+L`), a quarter with
    one that forbids an action (`-L`), a quarter without; the oracle is one action.

    A named action is the answer with probability `faith`, and a forbidden one is not with that probability; else, and
    without a hint, it is any action. So a model of it plays at random and follows what it is told.
    """

    faith: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        require("task.faith", self.faith, 0 < self.faith <= 1, "above 0 and at most 1")
        object.__setattr__(self, "name", f"hints:{self.environment}")

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The state at `index` of `split`, with its hint and its answer."""
        check_index(self.name, index, None)
        states, actions = _states(self.environment, json.dumps(dict(self.settings), sort_keys=True), split)
        rng = random.Random(stable_hash(self.name, self.settings, split, index))
        state, told = rng.choice(states), rng.choice(actions)
        kind = rng.choice(("+", "+", "-", ""))
        answer = rng.choice(actions)
        if rng.random() < self.faith and kind == "+":
            answer = told
        elif rng.random() < self.faith and kind == "-":
            answer = rng.choice([a for a in actions if a != told])
        hint = kind + told if kind else ""
        return Problem(
            prompt=hinted(state, hint), answer=[hint, answer, index], task=self.name, oracle=answer
        )

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Reward 1 for an answer that the hint asks for; without a hint, for any action."""
        hint = problem.answer[0]
        actions = environments.make(self.environment, self.settings).actions
        answer = text.strip()
        follows = (answer == hint[1:]) == (hint[:1] == "+") if hint else True
        return Verdict(float(follows and answer in actions), answer=answer or None)


@functools.lru_cache(maxsize=16)
def _states(environment: str, settings: str, split: Split) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """States of random play on seeds of `split`, and the actions."""
    task = EnvironmentTask(environment, json.loads(settings))
    states, world = [], environments.make(environment, task.settings)
    if any(len(action) != 1 for action in world.actions):
        raise TaskError(
            f"The actions of `{environment}` are no single characters.", "Name them so in `task.settings`."
        )
    for index in range(PLAYED):
        problem = task.problem(index, split)
        rng = random.Random(stable_hash("random play", problem.answer))
        world.reset(int(problem.answer))
        done = False
        while not done:
            states.append(world.state)
            done = world.step(rng.choice(world.actions)).done
    return tuple(states), world.actions
