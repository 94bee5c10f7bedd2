"""What procedural tasks share: problems drawn or listed as a pure function of (options, split, index)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, split_of, stable_hash

ATTEMPTS = 10_000
QUALITIES = ("direct", "wandering", "wrong")


def drawn(
    task: str, options: object, index: int, split: Split, make: Callable[[random.Random], Problem]
) -> Problem:
    """Problem `index` of `split`: the first of a sequence of draws whose content belongs to the split.

    Attempt a draws with `random.Random(stable_hash(task, options, split, index, a))`, so neighbouring indices
    and both splits have unrelated streams. `options` is any JSON value that names the task's options.
    """
    check_split(task, split)
    check_index(task, index, None)
    for attempt in range(ATTEMPTS):
        problem = make(random.Random(stable_hash(task, options, split, index, attempt)))
        if split_of(problem.id) == split:
            return problem
    raise TaskError(
        f"Task `{task}`: no {split} problem found in {ATTEMPTS} draws (options {options}).",
        "Choose options that allow more distinct problems.",
    )


def listed(problems: Iterable[Problem]) -> dict[Split, tuple[Problem, ...]]:
    """The distinct problems of a finite task by split, in an order that depends on their content alone."""
    distinct = {p.id: p for p in problems}
    ordered = [distinct[name] for name in sorted(distinct)]
    splits = [split_of(p.id) for p in ordered]
    chosen: tuple[Split, ...] = ("train", "test")
    return {split: tuple(p for p, s in zip(ordered, splits, strict=True) if s == split) for split in chosen}


def check_split(task: str, split: str) -> None:
    """Refuse a split that does not exist."""
    if split not in ("train", "test"):
        raise TaskError(f"Task `{task}`: there is no split `{split}`.", "Use `train` or `test`.")


def check_index(task: str, index: int, size: int | None) -> None:
    """Refuse a negative index, and one at or past the number of distinct problems of the split."""
    if index < 0:
        raise TaskError(f"Task `{task}`: index {index} is negative.", "Problems are counted from 0.")
    if size is not None and index >= size:
        raise TaskError(
            f"Task `{task}`: index {index} is asked for, but the split has {size} distinct problems.",
            "Ask for fewer problems, or choose options that allow more.",
        )


def as_levels(task: str, key: str, value: object, low: int, high: int, step: int = 1) -> tuple[int, ...]:
    """Validate an option that is one integer or a list of integers in `low, low + step, ..., high`."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    allowed = range(low, high + 1, step)
    if not values or any(isinstance(v, bool) or not isinstance(v, int) or v not in allowed for v in values):
        kinds = "odd numbers" if step == 2 else "whole numbers"
        raise TaskError(
            f"Task `{task}`: `{key}` is {value!r}.", f"Give one or a list of {kinds} from {low} to {high}."
        )
    return tuple(v for v in values if isinstance(v, int))


def check_range(task: str, key: str, value: object, low: int, high: int) -> None:
    """Refuse an option that is not one integer from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise TaskError(f"Task `{task}`: `{key}` is {value!r}.", f"Give a whole number from {low} to {high}.")


def check_quality(quality: str, known: Sequence[str] = QUALITIES) -> None:
    """Refuse a quality of demonstration that the solver does not know."""
    if quality not in known:
        raise TaskError(f"There is no quality `{quality}`.", f"Use one of {', '.join(known)}.")
