"""Checks of option values, so that every piece refuses a wrong one in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from hone.core.errors import RecipeError, nearest, quoted

TRUTH = "a truth value is not wanted here; in YAML `on`, `yes`, `off` and `no` are truth values, quote them"


def require_choice(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise RecipeError unless `value` is one of `allowed`."""
    if value not in allowed:
        raise RecipeError(f"`{key}` is {quoted(value)}.", nearest(str(value), allowed))


def require(key: str, value: Any, good: bool, rule: str) -> None:
    """Raise RecipeError unless `good`; `rule` completes 'It must be ...'."""
    if not good:
        raise RecipeError(f"`{key}` is {quoted(value)}.", f"It must be {rule}.")


def misplaced_truth(value: Any, annotation: Any) -> bool:
    """Whether `value`, or an element of the list or mapping that it is, is a truth value that `annotation` has no
    place for. Text and numbers would otherwise be made of it, for True is 1 in Python.
    """
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    if isinstance(value, bool):
        return not any(kind in (bool, Any, object) or value in _literals(kind) for kind in kinds)
    if isinstance(value, Mapping):
        wanted = [part for kind in kinds if _is(kind, Mapping) for part in get_args(kind)[1:]]
        elements: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple):
        wanted = [part for kind in kinds if _is(kind, Sequence) for part in get_args(kind) if part is not ...]
        elements = value
    else:
        return False
    return bool(wanted) and any(all(misplaced_truth(e, part) for part in wanted) for e in elements)


def _literals(kind: Any) -> tuple[Any, ...]:
    """The truth values that a Literal lists: 1 equals True, so they are looked for by type."""
    return tuple(v for v in get_args(kind) if isinstance(v, bool)) if get_origin(kind) is Literal else ()


def _is(kind: Any, base: type) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, base)
