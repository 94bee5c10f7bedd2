"""Any Gymnasium environment with a few actions, read as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hone.core.environment import Step
from hone.core.errors import TaskError
from hone.environments.base import check_action

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MISSING = "pip install 'hone-rl[agents]'"


class GymText:
    """The Gymnasium environment `id`, made with `options`: numbers of an observation become text, actions letters.

    Its action space must be Discrete with at most 26 actions, called `a`, `b`, ... or as `actions` says, one character
    each where a policy of characters plays. A state is `name: observation>`: integers as they are, other numbers to
    two decimals, texts and mappings in their order. The horizon is `horizon` steps, or the environment's own limit.
    Rewards are those of the environment. TaskError without Gymnasium, for an unknown id, and for other action spaces.
    """

    def __init__(
        self,
        id: str,
        options: Mapping[str, Any] | None = None,
        actions: Sequence[str] = (),
        horizon: int = 0,
    ) -> None:
        try:
            import gymnasium
        except ImportError:
            raise TaskError("Environment `gym` needs gymnasium, which is not installed.", MISSING) from None
        try:
            self._env = gymnasium.make(id, **(options or {}))
        except gymnasium.error.Error as error:
            raise TaskError(f"Gymnasium cannot make `{id}`: {error}", "Check `id` and `options`.") from None
        space = self._env.action_space
        if not isinstance(space, gymnasium.spaces.Discrete) or not 2 <= space.n <= len(LETTERS):
            raise TaskError(f"`{id}` has the actions {space}.", "A text policy needs 2 to 26 discrete ones.")
        self._first_action = int(space.start)
        self.actions = tuple(actions) or tuple(LETTERS[: int(space.n)])
        if len(self.actions) != int(space.n) or len(set(self.actions)) != len(self.actions):
            raise TaskError(
                f"`{id}` has {space.n} actions, and `actions` names {list(self.actions)}.",
                "Give each a name of its own.",
            )
        if any(action.split() != [action] for action in self.actions):
            raise TaskError(
                f"`actions` of `{id}` has names with white space: {list(self.actions)}.", "Use single words."
            )
        limit = self._env.spec.max_episode_steps if self._env.spec is not None else None
        if not (horizon or limit):
            raise TaskError(f"`{id}` has no limit of steps.", "Set `horizon`.")
        self.horizon = horizon or int(limit or 0)
        self._name = id.partition("-")[0]
        self._seen: Any = None
        self._taken, self._over = 0, True

    def reset(self, seed: int) -> str:
        """Begin the attempt of `seed`; returns the first observation."""
        self._seen, _ = self._env.reset(seed=seed % 2**31)
        self._taken, self._over = 0, False
        return self.state

    def step(self, action: str) -> Step:
        """Act. Raises TaskError for what is no action, and after the end."""
        check_action(action, self.actions, self._over)
        place = self.actions.index(action) + self._first_action
        self._seen, reward, terminated, truncated, _ = self._env.step(place)
        self._taken += 1
        self._over = bool(terminated or truncated) or self._taken >= self.horizon
        return Step(self.state, float(reward), self._over)

    @property
    def state(self) -> str:
        """The observation as a prompt."""
        return f"{self._name}: {text_of(self._seen)}>"


def text_of(observation: Any) -> str:
    """An observation as text: integers as they are, other numbers to two decimals, parts joined by spaces."""
    import numpy as np

    if isinstance(observation, str):
        return observation
    if isinstance(observation, Mapping):
        return " ".join(f"{key} {text_of(value)}" for key, value in observation.items())
    if isinstance(observation, tuple):
        return " ".join(text_of(part) for part in observation)
    numbers = np.asarray(observation)
    whole = np.issubdtype(numbers.dtype, np.integer) or numbers.dtype == np.bool_
    return " ".join(str(int(x)) if whole else f"{float(x):.2f}" for x in numbers.reshape(-1))
