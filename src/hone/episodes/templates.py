"""Prompt templates: text around a problem's prompt, and around what was written about it."""

from __future__ import annotations

from collections.abc import Mapping

from hone.core.errors import RecipeError
from hone.core.options import quoted
from hone.core.problem import Prompt

PROBLEM, ABSTRACTION = "{problem}", "{abstraction}"


def check_template(key: str, template: str, *places: str, without: str = "") -> None:
    """Raise RecipeError unless `template` has each of `places`, and nowhere `without`."""
    for place in places:
        if place not in template:
            raise RecipeError(
                f"`{key}` is {quoted(template)}, without {place}.", f"Write {place} where it belongs."
            )
    if without and without in template:
        raise RecipeError(f"`{key}` is {quoted(template)}, with {without}.", f"Leave {without} out.")


def fill(template: str, prompt: Prompt, values: Mapping[str, str]) -> Prompt:
    """`template` with the problem's text and `values` in their places.

    Of a chat, the last message is the problem's text; those before it stay. Braces inside of what is filled in are
    text like any other.
    """
    text = prompt if isinstance(prompt, str) else str(prompt[-1]["content"])
    out, rest = "", template
    places = {PROBLEM: text, **values}
    while rest:
        place = next((p for p in places if rest.startswith(p)), None)
        out += rest[0] if place is None else places[place]
        rest = rest[1:] if place is None else rest[len(place) :]
    return out if isinstance(prompt, str) else (*prompt[:-1], {**prompt[-1], "content": out})
