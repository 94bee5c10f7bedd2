"""One registry for every stage: names to pieces, duplicates refused, plugins found by entry point."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, get_type_hints

from hone.core.errors import RecipeError, nearest, quoted
from hone.core.options import TRUTH, misplaced_truth


@dataclass
class Registry:
    """Maps (stage, name) to the dataclass of a piece."""

    pieces: dict[str, dict[str, type]] = field(default_factory=dict)
    _plugins_loaded: bool = False

    def add(self, stage: str, name: str, piece: type) -> None:
        """Register `piece`. Raises ValueError if the stage has the name already."""
        names = self.pieces.setdefault(stage, {})
        if name in names and names[name] is not piece:
            raise ValueError(f"stage `{stage}` already has a piece `{name}`: {names[name]}")
        names[name] = piece

    def get(self, stage: str, name: str) -> type:
        """The piece's class. Raises RecipeError that lists what exists."""
        self._load_plugins()
        names = self.pieces.get(stage, {})
        if name not in names:
            raise RecipeError(f"`{stage}: {name}` does not exist.", nearest(name, sorted(names)))
        return names[name]

    def names(self, stage: str) -> list[str]:
        """What a stage offers."""
        self._load_plugins()
        return sorted(self.pieces.get(stage, {}))

    def _load_plugins(self) -> None:
        """Call every `hone.plugins` entry point with this registry, once."""
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in entry_points(group="hone.plugins"):
            register: Callable[[Registry], None] = point.load()
            register(self)

    def build(self, stage: str, name: str, options: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
        """A piece from its `options` (as written under the stage) and what the recipe derives (`given`).

        Raises RecipeError for an unknown option, or a value of the wrong type, naming the key.
        """
        cls = self.get(stage, name)
        known = option_types(cls)
        for key in options:
            if key not in known:
                rule = nearest(key, sorted(known)) if known else f"`{name}` has no options."
                raise RecipeError(f"`{stage}.{key}` is not an option of `{name}`.", rule)
        values = {k: v for k, v in given.items() if k in known} | dict(options)
        return checked(cls, values, stage)


def option_types(cls: type) -> dict[str, Any]:
    """Options of a piece: its dataclass fields that the constructor takes."""
    return {f.name: f.type for f in dataclasses.fields(cls) if f.init}


def with_options(
    cls: type, name: str, given: Mapping[str, Any], options: Mapping[str, Any], where: str = "reward"
) -> Any:
    """`cls` from what its `name` has `given`, and from `options` as a recipe writes them under `where`.

    Raises RecipeError for an unknown option, or a value of the wrong type, naming the key.
    """
    known = sorted(set(option_types(cls)) - set(given))
    for key in options:
        if key not in known:
            mend = nearest(key, known) if known else f"`{name}` has no options."
            raise RecipeError(f"`{where}.{key}` is not an option of `{name}`.", mend)
    return checked(cls, {**given, **options}, where)


def complaint(error: Mapping[str, Any]) -> tuple[str, str]:
    """What pydantic has against a value, in a clause, and the mend."""
    if error["type"] == "tuple_type":
        return "it must be a list", f"Write it as one: `[{error['input']}]`."
    message = error["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}", "Correct the value."


def checked(cls: type, values: Mapping[str, Any], where: str) -> Any:
    """Build the dataclass `cls` with types validated. Raises RecipeError naming `where.key`."""
    from pydantic import TypeAdapter, ValidationError

    hints = get_type_hints(cls)
    for key, value in values.items():
        if misplaced_truth(value, hints.get(key, Any)):
            raise RecipeError(f"`{where}.{key}` is {value!r}: {TRUTH}.", "Correct the value.")
        if isinstance(value, float) and value != value:
            raise RecipeError(f"`{where}.{key}` is {value!r}, not a number.", "Correct the value.")
    try:
        return TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in (where, *first["loc"]))
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, RecipeError):
            raise cause from None
        if first["type"] == "missing":
            raise RecipeError(
                f"`{key}` is not set, and it has no default.", f"Set `{first['loc'][-1]}`."
            ) from None
        wrong, mend = complaint(first)
        raise RecipeError(f"`{key}` is {quoted(first['input'])}: {wrong}.", mend) from None
