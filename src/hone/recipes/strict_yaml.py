"""YAML without surprises: a key once, no times or octals in place of what was typed, nothing without an end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from hone.core.errors import RecipeError, quoted

MOST_VALUES = 10_000  # of one recipe, those of aliases counted where they stand
DEEPEST = 20  # lists and mappings within each other
_KINDS = ("map", "seq", "str", "int", "float", "bool", "null")


class StrictLoader(yaml.SafeLoader):
    """The values of JSON and nothing else. YAML 1.1 reads 010 as 8, 1:30 as 90 and 2026-01-01 as a date: here they are
    the text that was typed, which the schema makes a number of, or refuses.
    """

    yaml_constructors = {
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _KINDS
    }
    yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in rules if tag.rpartition(":")[2] in ("bool", "null")]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^([-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)


def _mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
    for key in keys:
        if not isinstance(key, str):
            raise yaml.YAMLError(f"the key `{key}` is not text; if it is meant, quote it")
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"the key `{key}` is given twice")
    return {k: loader.construct_object(v, deep=True) for k, (_, v) in zip(keys, node.value)}  # type: ignore[no-untyped-call]


def _number(loader: StrictLoader, node: yaml.ScalarNode) -> Any:
    """A number, or one YAML error for a tag that calls something else a number."""
    make = loader.construct_yaml_int if node.tag.endswith(":int") else loader.construct_yaml_float
    try:
        return make(node)  # type: ignore[no-untyped-call]
    except (ValueError, IndexError):
        raise yaml.YAMLError(f"`{quoted(node.value)}` is no number") from None


def _truth(loader: StrictLoader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_bool(node)  # type: ignore[no-untyped-call]
    except KeyError:
        raise yaml.YAMLError(f"`{quoted(node.value)}` is no truth value") from None


StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
StrictLoader.add_constructor("tag:yaml.org,2002:int", _number)
StrictLoader.add_constructor("tag:yaml.org,2002:float", _number)
StrictLoader.add_constructor("tag:yaml.org,2002:bool", _truth)


def parse(body: str, where: str) -> Any:
    """The value of a YAML text. Raises RecipeError that names `where` and the line."""
    try:
        data = yaml.load(body, Loader=StrictLoader)
    except yaml.YAMLError as error:
        first = " ".join(str(error).split())
        raise RecipeError(f"{where} is not valid YAML: {first}.", "Correct the file.") from None
    except RecursionError:
        raise RecipeError(f"{where} is nested too deeply.", "Correct the file.") from None
    check_values(data, where)
    return data


def check_values(value: Any, where: str) -> None:
    """Raise RecipeError for values without end: deeper than DEEPEST, or more than MOST_VALUES; for keys that are not
    text; and for text that no file can hold.
    """
    _count(value, where, 0, 0)


def _count(value: Any, where: str, depth: int, count: int) -> int:
    """`count` and the values below `value`."""
    if depth > DEEPEST or count > MOST_VALUES:
        what = (
            f"is nested more than {DEEPEST} deep" if depth > DEEPEST else f"has over {MOST_VALUES:,} values"
        )
        raise RecipeError(f"{where} {what}.", "No recipe needs that: look for an alias within itself.")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RecipeError(f"{where} holds half a character: {quoted(value)}.", "Write the whole character.")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise RecipeError(f"{where} has a key that is not text: {quoted(key)}.", "Write text.")
        elements = [*value, *value.values()]
    elif isinstance(value, list | tuple):
        elements = list(value)
    else:
        return count + 1
    for element in elements:
        count = _count(element, where, depth + 1, count)
    return count + 1
