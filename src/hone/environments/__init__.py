"""Text environments: small exact ones, BabyAI, and whatever Gymnasium can make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hone.core.environment import Environment
from hone.core.errors import TaskError, nearest
from hone.environments.babyai import BabyAI
from hone.environments.gym_text import GymText
from hone.environments.hidden_arm import HiddenArm
from hone.environments.key_door import KeyDoor
from hone.environments.latent_strategy import LatentStrategy
from hone.environments.lock import CombinationLock

ENVIRONMENTS: dict[str, Callable[..., Environment]] = {
    "key_door": KeyDoor,
    "lock": CombinationLock,
    "hidden_arm": HiddenArm,
    "latent_strategy": LatentStrategy,
    "babyai": BabyAI,
    "gym": GymText,
}


def make(name: str, options: Mapping[str, Any]) -> Environment:
    """A fresh environment. Raises TaskError for an unknown name or option, with the nearest that exists."""
    import inspect

    if name not in ENVIRONMENTS:
        raise TaskError(f"There is no environment `{name}`.", nearest(name, tuple(ENVIRONMENTS)))
    known = list(inspect.signature(ENVIRONMENTS[name]).parameters)
    for key in options:
        if key not in known:
            raise TaskError(f"`{key}` is no option of environment `{name}`.", nearest(key, known))
    return ENVIRONMENTS[name](**options)
