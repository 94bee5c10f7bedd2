"""The words of a command line: an optional recipe, then `key=value` overrides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hone.core.errors import RecipeError


def split(words: Sequence[str] | None) -> tuple[str | None, dict[str, Any]]:
    """(recipe or None, overrides). The first word is the recipe unless it is an override.

    Raises RecipeError for a later word without `=`.
    """
    from hone.recipes.load import parse_overrides

    rest = list(words or ())
    recipe = None
    if rest and ("=" not in rest[0] or Path(rest[0]).is_file()):
        recipe = rest.pop(0)
    return recipe, parse_overrides(rest)


def named(task: str, pairs: Sequence[str] | None, prefix: str = "task.") -> dict[str, Any]:
    """A task and its options, given as `task.option=value` (`option=value` without `prefix`), as one mapping.

    Raises RecipeError for a key without the prefix.
    """
    from hone.recipes.load import merge, parse_overrides

    options = parse_overrides(list(pairs or ()))
    for key in options:
        if not key.startswith(prefix):
            raise RecipeError(f"`{key}` is not an option of the task.", f"Write `{prefix}{key}=...`.")
    dotted = {f"task.{key.removeprefix(prefix)}": value for key, value in options.items()}
    chosen: dict[str, Any] = merge({"task": {"name": task}}, dotted)["task"]
    return chosen


def integers(text: str, option: str) -> tuple[int, ...]:
    """`1,8,64` as numbers, ascending. Raises RecipeError naming the option."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError:
        numbers = []
    if not numbers or numbers[0] < 1:
        raise RecipeError(
            f"`{option} {text}` is not a list of positive whole numbers.", f"Write `{option} 1,8,64`."
        )
    return tuple(numbers)


def names(text: str, option: str) -> tuple[str, ...]:
    """`a,b,c` as names. Raises RecipeError for an empty list or a name given twice."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found or len(set(found)) < len(found):
        raise RecipeError(
            f"`{option} {text}` is not a list of different names.", f"Write `{option} rloo,grpo`."
        )
    return tuple(found)


def grid(pairs: Sequence[str], option: str = "--grid") -> dict[str, list[Any]]:
    """`key=v1,v2` words as a mapping of lists. Raises RecipeError for a word that is none, or a key given twice."""
    from hone.recipes.load import scalar

    out: dict[str, list[Any]] = {}
    for pair in pairs:
        key, found, text = pair.partition("=")
        values = scalar(f"[{text}]") if found and key and text.strip() else None
        if not isinstance(values, list) or key in out:
            raise RecipeError(
                f"`{option} {pair}` is not a list of values for one more key.",
                f"Write `{option} num_generations=4,16,64`, each key once.",
            )
        out[key] = values
    return out
