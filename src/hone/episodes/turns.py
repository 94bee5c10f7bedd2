"""Episodes of several turns: an attempt in a text environment, as one growing text or as a prompt for each decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from hone.core.environment import Environment, Playable, playable
from hone.core.errors import RecipeError
from hone.core.noise import NoiseKey
from hone.core.options import require_choice
from hone.core.problem import Problem, Prompt, Verdict
from hone.core.stages import Context, Request
from hone.core.trajectory import FinishReason, Segment, Trajectory

Form = Literal["history", "state"]
_FORMS = ("history", "state")


@dataclass(frozen=True)
class Played:
    """An attempt that is over: the action segment of each decision, what was done, and what it earned.

    `earned` is discounted, `plain` is the sum of rewards. `cut` says that the last answer was no action.
    """

    decisions: tuple[Segment, ...]
    actions: tuple[str, ...]
    earned: float
    plain: float
    cut: bool

    def verdict(self, discounted: bool = True) -> Verdict:
        """The attempt's own, the same that playing its text again gives."""
        detail = "not a list of actions" if self.cut else ""
        reward = self.earned if discounted else self.plain
        return Verdict(
            reward, answer=self.text or None, parts={"steps": float(len(self.actions))}, detail=detail
        )

    @property
    def text(self) -> str:
        """The actions, with spaces between them."""
        return " ".join(self.actions)


@dataclass(frozen=True)
class Turns:
    """`count` attempts at an environment, side by side; one action is chosen a turn, of the recipe's `actions`.

    With `form="history"` an attempt is one trajectory: prompt, action, observation, action, ... With `form="state"` a
    decision answers the present state alone: a trajectory of its own, with the labels `attempt` and `turn`, and the
    reward of the whole attempt, so that attempts are the units of credit. The return is discounted as the task says.

    `max_completion_length` is for one decision. An answer that is no action ends its attempt with reward 0.
    """

    form: Form = "history"

    samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require_choice("episode.form", self.form, _FORMS)

    @property
    def evaluation(self) -> Evaluated:
        """One trajectory an attempt, with its plain return."""
        return Evaluated(self.form)

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """The attempts in order, each with its verdict; in `state` form, each as its decisions in order."""
        attempts = await play(request, context, self.form)
        first = 1 + max((t.labels["attempt"] for t in request.drawn), default=-1)
        rollout = len(request.drawn)
        out: list[Trajectory] = []
        for i, played in enumerate(attempts, start=first):
            leaves = played.decisions if self.form == "state" else played.decisions[-1:]
            for turn, leaf in enumerate(leaves):
                labels = {"group": request.group, "rollout": rollout + len(out), "variant": request.variant}
                labels |= {"attempt": i, "turn": turn}
                out.append(_trajectory(request.problem, leaf, played, labels, played.verdict()))
        return out


@dataclass(frozen=True)
class Evaluated:
    """Attempts as an evaluation wants them: one trajectory each, whose reward is not discounted."""

    form: Form = "history"

    samples: ClassVar[bool] = True

    async def __call__(self, request: Request, context: Context) -> list[Trajectory]:
        """`request.count` trajectories; in `state` form the prompts of later decisions stand as observations."""
        attempts = await play(request, context, self.form)
        out = []
        for i, played in enumerate(attempts):
            labels = {"group": request.group, "rollout": i, "variant": request.variant, "attempt": i}
            leaf = _chained(played.decisions) if self.form == "state" else played.decisions[-1]
            out.append(_trajectory(request.problem, leaf, played, labels, played.verdict(discounted=False)))
        return out


def _trajectory(
    problem: Problem, leaf: Segment, played: Played, labels: dict[str, int], verdict: Verdict
) -> Trajectory:
    reason: FinishReason = "length" if played.cut else "stop"
    return Trajectory(problem, leaf, played.text, reason, labels, verdict=verdict)


def _chained(decisions: Sequence[Segment]) -> Segment:
    """Decisions on prompts of their own as one path, for the record."""
    leaf = decisions[0]
    for decision in decisions[1:]:
        assert decision.parent is not None
        seen = Segment(decision.parent.tokens, "observation", leaf)
        leaf = replace(decision, parent=seen)
    return leaf


async def play(request: Request, context: Context, form: Form) -> list[Played]:
    """`request.count` attempts side by side: they meet at the engine's barriers, turn after turn."""
    task = playable(context.task)
    noise = replace(context.noise.child(request.group), draw=len(request.drawn))
    prompts = _Prompts(context)
    parts = [_attempt(task, request, context, form, prompts, noise.child(i)) for i in range(request.count)]
    return await context.together(parts)


class _Prompts:
    """Each distinct prompt of a group once, so that attempts that meet a state again share its computation."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._made: dict[Prompt, Segment] = {}

    def __call__(self, prompt: Prompt) -> Segment:
        if prompt not in self._made:
            self._made[prompt] = Segment(self._context.encode(prompt), "prompt")
        return self._made[prompt]


async def _attempt(
    task: Playable, request: Request, context: Context, form: Form, prompts: _Prompts, noise: NoiseKey
) -> Played:
    world = task.start(request.problem)
    _check_actions(world, context)
    params = replace(context.params, max_tokens=1) if context.params.support else context.params
    role = context.role("policy")
    decisions: list[Segment] = []
    actions: list[str] = []
    earned, plain, worth, leaf, done = 0.0, 0.0, 1.0, prompts(request.shown), False
    while not done:
        (answer,) = await role.sample(leaf, 1, params, noise.child(len(decisions)))
        decisions.append(answer.segment)
        action = context.decode(answer.segment.tokens).strip()
        if action not in world.actions:
            return Played(tuple(decisions), tuple(actions), 0.0, 0.0, cut=True)
        actions.append(action)
        step = world.step(action)
        earned, plain, worth = earned + worth * step.reward, plain + step.reward, worth * task.discount
        done = step.done
        if not done and form == "history":
            leaf = context.observe(answer.segment, step.observation)
        elif not done:
            leaf = prompts(world.state)
    return Played(tuple(decisions), tuple(actions), earned, plain, cut=False)


def _check_actions(world: Environment, context: Context) -> None:
    """Raise RecipeError if the recipe's `actions` are others than the environment's."""
    support = context.params.support
    if not support:
        return
    listed = [context.decode(np.array([token], dtype=np.int32)).strip() for token in support]
    if sorted(listed) != sorted(world.actions):
        raise RecipeError(
            f"The environment has the actions {', '.join(world.actions)}, and `actions` lists {', '.join(listed)}.",
            f"Set `actions: [{', '.join(world.actions)}]`.",
        )
