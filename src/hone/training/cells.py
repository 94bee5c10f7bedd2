"""The cells of a sweep: what each sets, how many steps its budget pays for, and its learning rate."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hone.catalog import build_method
from hone.core.errors import RecipeError
from hone.core.recipe import Recipe

Rule = Literal["sqrt", "constant"]
Keys = Mapping[str, Any]
BATCH: tuple[Literal["num_generations", "problems_per_step"], ...] = ("num_generations", "problems_per_step")
LONGEST_NAME = 120  # characters of a cell's folder


@dataclass(frozen=True)
class Budget:
    """What every cell may spend: rollouts, or sampled tokens."""

    unit: Literal["rollouts", "sampled_tokens"]
    value: int


@dataclass(frozen=True)
class Cell:
    """One point of a sweep. `keys` are what it sets beside the recipe of all; `recipe` is complete but for the seed.

    `unspent` are rollouts of the budget that are too few for one more step.
    """

    name: str
    keys: Keys
    recipe: Recipe
    unspent: int = 0

    @property
    def batch(self) -> int:
        """Rollouts of a step."""
        return rollouts_of(self.recipe)

    @property
    def rollouts(self) -> int | None:
        """Rollouts of a run; None where sampled tokens end it."""
        return None if self.recipe.max_sampled_tokens is not None else self.recipe.steps * self.batch

    @property
    def folder(self) -> str:
        """Its name as a folder's: other characters become `_`, and a long one ends with a digest."""
        plain = re.sub(r"[^A-Za-z0-9=,.+-]", "_", self.name)
        if plain == self.name and len(plain) <= LONGEST_NAME:
            return plain
        return f"{plain[:LONGEST_NAME]}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"


def rollouts_of(recipe: Recipe) -> int:
    """Rollouts of one step."""
    return recipe.num_generations * recipe.problems_per_step


def crossed(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of a grid's values, the last key changing fastest.

    Raises RecipeError for a key without values or with one value twice.
    """
    for key, values in grid.items():
        written = [json.dumps(value, sort_keys=True) for value in values]
        if not values or len(set(written)) < len(written):
            raise RecipeError(
                f"The grid's `{key}` is not a list of different values.", f"Write `{key}=4,16`."
            )
    return [dict(zip(grid, values)) for values in itertools.product(*grid.values())]


def name_of(keys: Keys) -> str:
    """`num_generations=4,problems_per_step=8`; `recipe` for a cell that sets nothing."""
    shown = [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in keys.items()]
    return ",".join(shown) or "recipe"


def choose_rule(rule: Rule | None, cells: Sequence[Keys]) -> Rule:
    """The rule of the learning rate: as asked, else `sqrt` where cells set a key of BATCH and not the rate itself."""
    if rule is not None:
        return rule
    sets_batch = any(key in keys for keys in cells for key in BATCH)
    sets_rate = any("learning_rate" in keys for keys in cells)
    return "sqrt" if sets_batch and not sets_rate else "constant"


def scaled_rate(base: Recipe, batch: int) -> float:
    """eta(B) = eta sqrt(B / B_recipe) to 6 significant digits, B the rollouts of a step.

    With B rollouts the noise of the mean gradient falls as 1 / sqrt(B), which is what Adam's step divides by. Source:
    IsoCompute Playbook (arXiv 2603.12151), which uses it in all cells.
    """
    own = rollouts_of(base)
    return base.learning_rate if batch == own else float(f"{base.learning_rate * math.sqrt(batch / own):.6g}")


def plan_cell(keys: Keys, recipe: Recipe, base: Recipe, rule: Rule, budget: Budget | None) -> Cell:
    """A cell whose `recipe` was resolved with its `keys`; `base` is the recipe without them.

    A cell that sets `learning_rate` keeps it. Raises RecipeError for a budget that does not pay for one step.
    """
    if not build_method(recipe).episode.samples:
        raise RecipeError(f"`{recipe.method}` samples nothing, so there is no sampling compute to sweep.")
    changed: dict[str, Any] = {}
    batch = rollouts_of(recipe)
    if rule == "sqrt" and "learning_rate" not in keys:
        changed["learning_rate"] = scaled_rate(base, batch)
        if changed["learning_rate"] > 1:
            raise RecipeError(
                f"The sqrt rule gives `{name_of(keys)}` a learning rate of {changed['learning_rate']:g}.",
                "Lower `learning_rate`, or use the rule `constant`.",
            )
    unspent = 0
    if budget is not None:
        if "steps" in keys:
            raise RecipeError(
                "A budget decides the steps, and the cells set `steps`.", "Give one of the two."
            )
        if budget.unit == "sampled_tokens":
            # A rollout has at least one token, so these steps always reach it.
            changed |= {"max_sampled_tokens": budget.value, "steps": math.ceil(budget.value / batch)}
        elif budget.value < batch:
            raise RecipeError(
                f"{budget.value:,} rollouts do not pay for one step of `{name_of(keys)}`, which takes {batch:,}.",
                "Raise the budget, or leave the cell out.",
            )
        else:
            changed["steps"], unspent = divmod(budget.value, batch)
    return Cell(name_of(keys), dict(keys), recipe.model_copy(update=changed), unspent)


def check_cells(cells: Sequence[Cell]) -> None:
    """Raise RecipeError where there is no cell, where one sets the seed, or where two are the same run."""
    if not cells:
        raise RecipeError("The sweep has no cell.", "Give `--grid key=value,value` or `--runs FILE.yaml`.")
    known: dict[str, str] = {}
    for cell in cells:
        if "seed" in cell.keys:
            raise RecipeError("A cell sets `seed`.", "Say how many seeds with `--seeds`.")
        other = known.setdefault(cell.recipe.digest(), cell.name)
        if other != cell.name or [c.name for c in cells].count(cell.name) > 1:
            raise RecipeError(f"`{other}` and `{cell.name}` are the same run.", "Leave one of them out.")


def said_of(cells: Sequence[Cell], budget: Budget | None) -> list[str]:
    """What a person should know of a plan: budgets that are not spent exactly, or that are not equal."""
    found = [
        f"{cell.name} leaves {cell.unspent:,} of {budget.value:,} rollouts: "
        f"{cell.recipe.steps:,} steps of {cell.batch:,}"
        for cell in cells
        if budget is not None and cell.unspent
    ]
    spent = {cell.rollouts for cell in cells if cell.rollouts is not None}
    if budget is None and len(spent) > 1:
        found.append(
            f"the cells spend between {min(spent):,} and {max(spent):,} rollouts: `--rollouts` gives all the same"
        )
    if budget is not None and budget.unit == "sampled_tokens":
        scheduled = {cell.recipe.schedule for cell in cells} - {"constant"}
        found += [
            f"`schedule: {name}` runs over `steps`, which is raised here so that the budget of tokens ends every run: "
            "the learning rate hardly falls"
            for name in sorted(scheduled)
        ]
    return found
