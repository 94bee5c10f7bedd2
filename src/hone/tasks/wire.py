"""Values on their way to a checker's process and back, as JSON: unlike a pickle, what is read cannot run anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from hone.core.problem import Problem, Verdict


def packed(*values: Any) -> bytes:
    """`values`, each a JSON value, a Problem or a Verdict. TypeError or ValueError for anything else."""
    return json.dumps([_tagged(value) for value in values], default=_scalar).encode()


def unpacked(data: bytes) -> tuple[Any, ...]:
    """What was packed; a tuple has become a list. ValueError for bytes that nobody packed."""
    return tuple(_MAKERS[kind](value) for kind, value in json.loads(data))


def _tagged(value: Any) -> list[Any]:
    """A value with the name of its type in front, empty for JSON values."""
    for kind in (Problem, Verdict):
        if isinstance(value, kind):
            fields = {k: dict(v) if isinstance(v, Mapping) else v for k, v in vars(value).items()}
            return [kind.__name__, fields]
    return ["", value]


def _scalar(value: Any) -> Any:
    """The number in a numpy or torch scalar."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(f"a {type(value).__name__} is no JSON value, so it cannot leave the process of a checker")


def _problem(fields: dict[str, Any]) -> Problem:
    prompt = fields["prompt"]
    return Problem(**fields | {"prompt": prompt if isinstance(prompt, str) else tuple(prompt)})


_MAKERS: dict[str, Callable[[Any], Any]] = {
    "": lambda value: value,
    "Problem": _problem,
    "Verdict": lambda fields: Verdict(**fields),
}
