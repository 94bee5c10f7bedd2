"""The dials of a study, read from a file that is fixed before its claims are tested."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from math import sqrt
from typing import Any

import yaml

from hone.core.errors import RecipeError, nearest
from hone.lab.world import World, WorldDials, make_world

Dials = Mapping[str, Any]


def load() -> dict[str, Any]:
    """The dials that ship, `dials.yaml`."""
    text = (resources.files("hone.lab") / "dials.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def seeds_of(dials: Dials) -> range:
    """The seeds of the study."""
    return range(dials["first_seed"], dials["first_seed"] + dials["seeds"])


def rate(dials: Dials, num_generations: int, problems: int) -> float:
    """The learning rate of a batch by the square-root rule."""
    return float(dials["learning_rate"] * sqrt(num_generations * problems / dials["anchor"]))


def worlds(dials: Dials, name: str) -> dict[int, World]:
    """The worlds of the problem set `name`, one for each seed. Raises RecipeError for an unknown set."""
    if name not in dials["sets"]:
        raise RecipeError(f"There is no problem set `{name}`.", nearest(name, tuple(dials["sets"])))
    ranges = tuple((float(low), float(high)) for low, high in dials["sets"][name])
    world = WorldDials(**dials["world"], difficulty=ranges)
    return {seed: _world(world, seed) for seed in seeds_of(dials)}


@lru_cache(maxsize=64)
def _world(dials: WorldDials, seed: int) -> World:
    return make_world(dials, seed)
