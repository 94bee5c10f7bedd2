"""Cards: what each published method is, where it comes from, and the composition that reproduces it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from hone.core.errors import RecipeError, nearest

STAGES = (
    "curriculum",
    "episode",
    "rewards",
    "selectors",
    "credit",
    "objective",
    "policy",
    "compute",
    "evals",
)


@dataclass(frozen=True)
class Card:
    """One method. `composition` are recipe keys; `claims` say what was measured, with numbers computed by code.

    `studies` are those of `hone.studies` that test what its paper claims. A method that is no way to train, but plans
    or measures, has no composition. It names the `tests` that pin it down, which for others are those of their pieces.
    """

    id: str
    title: str
    source: str
    family: str
    stages: tuple[str, ...]
    summary: str
    composition: Mapping[str, Any]
    surrogate: str = ""
    when: str = ""
    trl: str = ""
    verl: str = ""
    notes: tuple[str, ...] = ()
    claims: tuple[Mapping[str, Any], ...] = field(default=())
    tests: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
    status: str = "available"

    @property
    def trains(self) -> bool:
        """Whether a recipe can name it as its method."""
        return bool(self.composition)


def ids() -> list[str]:
    """Ids of the cards that ship."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in resources.files("hone.methods").iterdir()
        if entry.name.endswith(".yaml")
    )


@lru_cache
def load(card_id: str) -> Card:
    """The card of a method. Raises RecipeError with the nearest id for an unknown one."""
    if card_id not in ids():
        raise RecipeError(f"`method: {card_id}` does not exist.", nearest(card_id, ids()))
    text = (resources.files("hone.methods") / f"{card_id}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    for key in ("stages", "notes", "claims", "tests", "studies"):
        data[key] = tuple(data.get(key) or ())
    return Card(**data)


def training_ids() -> list[str]:
    """Ids of the methods that a recipe can name."""
    return [card_id for card_id in ids() if load(card_id).trains]


def load_training(card_id: str) -> Card:
    """The card of a method that trains. Raises RecipeError for one that does not, and for an unknown one."""
    card = load(card_id)
    if not card.trains:
        raise RecipeError(
            f"`method: {card_id}` is no training method: its stage is {', '.join(card.stages)}, and it says nothing of "
            "how a policy is updated.",
            f"Name one that trains ({', '.join(training_ids())}); `hone methods {card_id}` says what it is for.",
        )
    return card
