"""Checks of option values, so that every piece refuses a wrong one in the same words."""

from __future__ import annotations

from typing import Any

from hone.core.errors import RecipeError, nearest


def require_choice(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise RecipeError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise RecipeError(f"`{key}` is {value!r}.", nearest(str(value), allowed))


def require(key: str, value: Any, good: bool, rule: str) -> None:
    """Raise RecipeError unless `good`; `rule` completes 'It must be ...'."""
    if not good:
        raise RecipeError(f"`{key}` is {value!r}.", f"It must be {rule}.")
