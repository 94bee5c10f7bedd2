"""`hone recipes`."""

from __future__ import annotations

from typing import Annotated

import typer

from hone.cli import terminal


def recipes(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print the file of this recipe.")] = None,
) -> None:
    """List the recipes that ship, or print one; `hone train NAME` runs it.

    Examples:

    - `hone recipes`

    - `hone recipes demo`

    - `hone recipes demo > my_recipe.yaml` (then edit it, and run `hone train my_recipe.yaml`)
    """
    from hone.recipes import load

    if name is not None:
        print(load.text(name), end="")
        return
    width = max(map(len, load.names()))
    for known in load.names():
        terminal.say(f"{known:{width}}  {about(load.text(known))}")
    terminal.say("`hone recipes NAME` prints a recipe, `hone train NAME` runs it.", "dim")


def about(text: str) -> str:
    """The comment that a recipe begins with, or nothing."""
    first = text.split("\n", 1)[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""
