"""`hone methods`."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any

import typer

from hone.cli import terminal
from hone.core.errors import RecipeError, nearest


def methods(
    method: Annotated[str | None, typer.Argument(metavar="ID", help="Show the card of this method.")] = None,
    stage: Annotated[
        str | None, typer.Option(help="Only methods that change this stage of the loop.")
    ] = None,
    planned: Annotated[
        bool, typer.Option("--planned", help="Also published methods that are not here yet.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the methods, or show one: where it comes from, and the formula it resolves to.

    Examples:

    - `hone methods`

    - `hone methods maxrl`

    - `hone methods --stage credit --planned`

    - `hone methods --json`
    """
    if method is not None:
        found = card(method)
        if as_json:
            print(json.dumps(found, ensure_ascii=False))
        else:
            show_card(found)
        return
    chosen = rows(stage, planned)
    if as_json:
        print(json.dumps(chosen, ensure_ascii=False))
    else:
        show_rows(chosen)


def rows(stage: str | None = None, planned: bool = False) -> list[dict[str, Any]]:
    """`id, title, family, stages, status` of every method. Raises RecipeError for a stage that no method changes."""
    from hone.methods import cards

    found = [
        {"id": c.id, "title": c.title, "family": c.family, "stages": list(c.stages), "status": c.status}
        for c in map(cards.load, cards.ids())
    ]
    if planned:
        here = {row["id"] for row in found}
        found += [row for row in catalogue() if row["id"] not in here]
    if stage is None:
        return found
    known = sorted({*cards.STAGES, *(s for row in found for s in row["stages"])})
    if stage not in known:
        raise RecipeError(f"There is no stage `{stage}`.", nearest(stage, known))
    return [row for row in found if stage in row["stages"]]


def catalogue() -> list[dict[str, Any]]:
    """The published methods that the project means to hold, as rows with the status `planned`."""
    text = (resources.files("hone.methods") / "planned.csv").read_text(encoding="utf-8")
    return [
        {
            "id": r["id"],
            "title": r["title"],
            "family": r["family"],
            "stages": [r["stage"]],
            "status": "planned",
        }
        for r in csv.DictReader(text.splitlines())
    ]


def card(method: str) -> dict[str, Any]:
    """A card's content, with the formula that `method=ID` resolves to. Raises RecipeError for an unknown id.

    The formula of a method that does not train is ''.
    """
    from hone.catalog import build_method
    from hone.methods import cards
    from hone.recipes.load import example

    if method not in cards.ids():
        for row in catalogue():
            if row["id"] == method:
                raise RecipeError(
                    f"`{method}` ({row['title']}) is planned, not here yet.", "`hone methods` lists what is."
                )
    found = cards.load(method)
    formula = ""
    if found.trains:
        formula = build_method(example(method)).formula()
    return {
        "id": found.id,
        "title": found.title,
        "source": found.source,
        "family": found.family,
        "stages": list(found.stages),
        "status": found.status,
        "summary": found.summary,
        "formula": formula,
        "composition": dict(found.composition),
        "surrogate": found.surrogate,
        "when": found.when,
        "trl": found.trl,
        "verl": found.verl,
        "notes": list(found.notes),
        "claims": [dict(claim) for claim in found.claims],
    }


def show_card(found: Mapping[str, Any]) -> None:
    """Print a card."""
    terminal.say(found["title"], "bold")
    terminal.say(found["source"], "dim")
    terminal.say(f"\n{found['summary'].strip()}\n")
    if found["formula"]:
        terminal.say(terminal.indent(found["formula"]), "cyan")
    if found["surrogate"]:
        terminal.say(f"\nSurrogate: {found['surrogate']}")
    if found["when"]:
        terminal.say(f"\nWhen: {found['when']}")
    if found["composition"]:
        terminal.say("\nComposition", "bold")
    for key, value in found["composition"].items():
        terminal.say(f"  {key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    for name in ("trl", "verl"):
        if found[name]:
            terminal.say(f"In {name.upper() if name == 'trl' else name}: {found[name]}")
    for title, lines in (("Notes", found["notes"]), ("Claims", map(claim_words, found["claims"]))):
        lines = list(lines)
        if lines:
            terminal.say(f"\n{title}", "bold")
        for text in lines:
            terminal.say(f"  - {text}")
    if found["composition"]:
        run = "hone sft" if found["id"] == "sft" else f"hone train demo method={found['id']}"
        terminal.say(f"\nRun it: {run}")
    else:
        terminal.say("\nIt trains nothing: no recipe names it as its method.")


def claim_words(claim: Mapping[str, Any]) -> str:
    """A claim on one line."""
    return "; ".join(f"{key}: {value}" for key, value in claim.items())


def show_rows(found: list[dict[str, Any]]) -> None:
    """Print the gallery."""
    from rich.table import Table

    planned = any(row["status"] != "available" for row in found)
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("id", "stages", "title", *(("status",) if planned else ())):
        table.add_column(name, no_wrap=name in ("id", "status"), overflow="fold")
    for row in found:
        cells = [row["id"], ", ".join(row["stages"]), row["title"], *([row["status"]] if planned else [])]
        table.add_row(*map(terminal.safe, cells), style="" if row["status"] == "available" else "dim")
    terminal.console().print(table)
    terminal.say("`hone methods ID` shows a method and its formula.", "dim")
