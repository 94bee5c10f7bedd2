"""Reflectors: who says, knowing how an attempt went on, what should have been done at each of its decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from hone.core.environment import Advises
from hone.core.errors import TaskError
from hone.core.noise import NoiseKey, uniforms
from hone.core.problem import Prompt, stable_hash
from hone.core.sampling import SamplingParams
from hone.core.stages import Context
from hone.core.trajectory import Segment

FEATURES = 512  # of the learnt reflector: characters of a prompt at their places, hashed
RIDGE = 1.0
SHOWN = 12  # later decisions that a language model is shown


@dataclass(frozen=True)
class Lived:
    """An attempt as a reflector reads it: the prompts of its decisions, what was done, and what all of it earned.

    `advice` are the environment's own best actions, where it knows them and they were asked for.
    """

    states: tuple[str, ...]
    actions: tuple[str, ...]
    earned: float
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """Pieces of feedback for each decision, attempt after attempt, and readings of what they cost.

    Empty texts say nothing, and a decision may have fewer pieces than were asked for.
    """

    texts: list[list[str]]
    readings: Mapping[str, float] = field(default_factory=dict)


class Reflector(Protocol):
    """Writes feedback in hindsight: `+a` (do a), `-a` (do not), or any text that the policy understands."""

    @property
    def privileged(self) -> bool:
        """Whether it reads the environment's advice."""
        ...

    async def __call__(
        self, attempts: Sequence[Lived], actions: Sequence[str], number: int, context: Context
    ) -> Said:
        """`number` pieces of feedback for each decision."""
        ...


@dataclass(frozen=True)
class Oracle:
    """Names the environment's own best action, and with probability 1 − `accuracy` another one instead.

    It is privileged: what it teaches is imitation of an expert on the policy's own states.
    """

    accuracy: float = 1.0
    privileged: bool = True

    async def __call__(
        self, attempts: Sequence[Lived], actions: Sequence[str], number: int, context: Context
    ) -> Said:
        """`+a` for every decision."""
        best = [a for lived in attempts for a in lived.advice]
        noise = replace(context.noise, purpose="reflector").child(0)
        drawn = uniforms([noise.child(i) for i in range(number)], 2 * len(best)).reshape(number, -1, 2)
        out = []
        for t, action in enumerate(best):
            others = [a for a in actions if a != action]
            wrong = [
                others[int(pick * len(others))] if chance >= self.accuracy else action
                for chance, pick in drawn[:, t]
            ]
            out.append([f"+{a}" for a in wrong])
        return Said(out)


@dataclass(frozen=True)
class Learned:
    """A hindsight classifier: how well attempts went, regressed on prompts, for each action apart.

    It is fitted to the step's own attempts and names the action with the largest prediction. Ridge regression on the
    characters of a prompt at their places; it says nothing where all attempts earned the same, and at a decision for
    which fewer than two actions were ever tried.
    """

    privileged: bool = False

    async def __call__(
        self, attempts: Sequence[Lived], actions: Sequence[str], number: int, context: Context
    ) -> Said:
        """`+a` for every decision, the same `number` times."""
        named = hindsight(attempts, actions)
        return Said([[text] * number if text else [] for text in named])


def hindsight(attempts: Sequence[Lived], actions: Sequence[str]) -> list[str]:
    """What the classifier says of each decision: `+a`, or nothing."""
    states = [state for lived in attempts for state in lived.states]
    earned = np.array([lived.earned for lived in attempts for _ in lived.states])
    taken = np.array([actions.index(a) for lived in attempts for a in lived.actions])
    if len(states) == 0 or earned.min() == earned.max() or len(set(taken)) < 2:
        return [""] * len(states)
    x = np.stack([_features(state) for state in states])
    predicted = np.full((len(states), len(actions)), -np.inf)
    for action in sorted(set(taken)):
        own = taken == action
        a, y = x[own], earned[own] - earned.mean()
        # As many equations as decisions, which are fewer than features.
        weights = a.T @ np.linalg.solve(a @ a.T + RIDGE * np.eye(len(a)), y)
        predicted[:, action] = x @ weights
    return [f"+{actions[i]}" for i in predicted.argmax(1)]


def _features(state: str) -> np.ndarray:
    row = np.zeros(FEATURES)
    for place, character in enumerate(state):
        row[stable_place(place, character)] = 1.0
    return row


_PLACES: dict[tuple[int, str], int] = {}


def stable_place(place: int, character: str) -> int:
    """The feature of a character at a place: a hash of both, the same everywhere."""
    key = (place, character)
    if key not in _PLACES:
        _PLACES[key] = stable_hash("feature", place, character) % FEATURES
    return _PLACES[key]


@dataclass(frozen=True)
class Model:
    """A language model, in whatever `role`, that is shown what followed.

    With an `instruction` it is asked in a chat message, else in plain text. Its answer, up to `tokens` tokens and the
    first line's end, is the feedback.
    """

    instruction: str = ""
    tokens: int = 2
    role: str = "policy"
    privileged: bool = False

    async def __call__(
        self, attempts: Sequence[Lived], actions: Sequence[str], number: int, context: Context
    ) -> Said:
        """What it says of each decision, `number` times."""
        model = context.role(self.role)
        params = SamplingParams(self.tokens, context.params.temperature, stop=("\n",))
        noise = replace(context.noise, purpose="reflector").child(1)

        async def one(lived: Lived, t: int, key: NoiseKey) -> list[str]:
            prompt = Segment(model.encode(asked(lived, t, self.instruction)), "prompt")
            answers = await model.sample(prompt, number, params, key)
            texts = [model.decode(answer.segment.tokens) for answer in answers]
            return [first_line(text) for text in texts]

        asking = [one(lived, t, noise.child(i)) for i, (lived, t) in enumerate(decisions(attempts))]
        return Said(await context.together(asking))


def decisions(attempts: Sequence[Lived]) -> list[tuple[Lived, int]]:
    """Every decision, as an attempt and its place there."""
    return [(lived, t) for lived in attempts for t in range(len(lived.states))]


def first_line(text: str) -> str:
    """The part of an answer that is feedback."""
    return text.strip().split("\n")[0].strip()


def asked(lived: Lived, t: int, instruction: str) -> Prompt:
    """What a language model is asked of decision `t`: the state, what was done from there on, what it earned."""
    later = " ".join(lived.actions[t : t + SHOWN])
    text = f"{lived.states[t].removesuffix('>')}|{later}|{lived.earned:g}?"
    return ({"role": "user", "content": f"{instruction}\n{text}"},) if instruction else text


def check_advice(world: object, name: str) -> Advises:
    """`world` as one that knows its best action. Raises TaskError for one that does not."""
    if isinstance(world, Advises):
        return world
    raise TaskError(
        f"`{name}` does not know its best action, which the oracle names.",
        "Use another reflector: `learned` or `model`.",
    )
