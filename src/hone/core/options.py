"""Checks of option values, so that every piece refuses a wrong one in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from hone.core.errors import RecipeError, nearest

TRUTH = "a truth value is not wanted here; in YAML `on`, `yes`, `off` and `no` are truth values, quote them"


def require_choice(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise RecipeError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise RecipeError(f"`{key}` is {value!r}.", nearest(str(value), allowed))


def require(key: str, value: Any, good: bool, rule: str) -> None:
    """Raise RecipeError unless `good`; `rule` completes 'It must be ...'."""
    if not good:
        raise RecipeError(f"`{key}` is {value!r}.", f"It must be {rule}.")


def misplaced_truth(value: Any, annotation: Any) -> bool:
    """Whether `value`, or an element of the list or mapping that it is, is a truth value that `annotation` has no
    place for. Text and numbers would otherwise be made of it, for True is 1 in Python.
    """
    if isinstance(value, bool):
        return not _takes_truth(annotation)
    if isinstance(value, list | tuple):
        return any(misplaced_truth(element, annotation) for element in value)
    if isinstance(value, Mapping) and _takes_mapping(annotation):
        return any(misplaced_truth(element, annotation) for element in value.values())
    return False


def _takes_truth(annotation: Any) -> bool:
    if any(annotation is taker for taker in (bool, Any, object, True, False)):
        return True
    return any(_takes_truth(part) for part in get_args(annotation))


def _takes_mapping(annotation: Any) -> bool:
    """Whether a mapping is wanted as such, and not as the options of something that checks them itself."""
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return True
    return any(_takes_mapping(part) for part in get_args(annotation))
