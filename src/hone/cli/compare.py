"""`hone compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from hone.cli import terminal
from hone.cli.limits import gap, share


def compare(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe or a YAML file.")],
    methods: Annotated[str, typer.Option("--methods", help="Method ids, with commas between them.")],
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Seeds of each method; 8 or more for a claim.")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Keys to override, for every method.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder; one that exists is gone on with.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread at a time.")] = 2,
    baseline: Annotated[str | None, typer.Option(help="State differences to this method only.")] = None,
) -> None:
    """Compare methods under one budget of sampled tokens, with differences paired over seeds.

    Every method is run with every seed in a process of its own, in turns, on the same problems with the same noise;
    a run ends when it has sampled the budget. The budget is `max_sampled_tokens`, or what `steps` of the recipe would
    sample with answers as long as the untrained model's. An interrupted comparison goes on where it was when it is
    given the same `--out`.

    Examples:

    - `hone compare demo --methods rloo,grpo,maxrl --seeds 8`

    - `hone compare demo --methods rloo,maxrl --seeds 4 steps=20 --out runs/small --baseline rloo`

    - `hone compare my_recipe.yaml --methods rloo,grpo --seeds 8 max_sampled_tokens=500000`

    Exit codes: 0 done, 1 an arm failed, 2 an error.
    """
    from hone.api import compare as run
    from hone.api import new_folder
    from hone.cli.arguments import names
    from hone.recipes.load import parse_overrides
    from hone.report import build_comparison

    chosen = names(methods, "--methods")
    keys = parse_overrides(list(overrides or ()))
    show_methods(recipe, chosen, keys)
    folder = out or new_folder(f"compare-{Path(recipe).stem}")
    terminal.say(f"folder {folder}\n", "dim")
    found = run(recipe, chosen, seeds, folder, workers=workers, baseline=baseline, tell=terminal.say, **keys)
    show(found)
    terminal.say(f"report   {build_comparison(folder)}")
    for arm, output in found["failures"].items():
        terminal.show_line(f"error: {arm} failed: {output}")
    if found["failures"]:
        raise typer.Exit(1)


def show_methods(source: str, methods: Sequence[str], overrides: Mapping[str, Any]) -> None:
    """Print what each method resolves to under the recipe, and what the budget does to its schedule."""
    from hone.catalog import build_method
    from hone.recipes.load import resolve

    for method in methods:
        recipe = resolve(source, {**overrides, "method": method})[0]
        terminal.say(method, "bold")
        terminal.say(terminal.indent(build_method(recipe).formula()), "cyan")
    if recipe.schedule != "constant":
        terminal.say(
            f"note: `schedule: {recipe.schedule}` runs over `steps`, which is raised here so that the budget of tokens "
            "ends every run: the learning rate hardly falls. `schedule=constant` says what happens.",
            "yellow",
        )


def show(found: Mapping[str, Any]) -> None:
    """Print the table of methods and the paired differences."""
    title = f"{found['budget']['value']:,} sampled tokens each"
    results = terminal.figures(title, "method", *found["metrics"])
    before = [share(v["value"], v["low"], v["high"]) for v in found["before"].values()]
    results.add_row("before", *before, style="dim")
    for method in found["methods"]:
        rows = {row["metric"]: row for row in found["table"] if row["method"] == method}
        results.add_row(
            terminal.safe(method), *(share(*limits_of(rows[metric])) for metric in found["metrics"])
        )
    terminal.show_figures(results)
    if found["paired"]:
        terminal.show_figures(_differences(found))


def _differences(found: Mapping[str, Any]) -> Table:
    title = "differences, paired over seeds (points)"
    shown = terminal.figures(title, "", "metric", "difference", "seeds ahead", "verdict")
    for row in found["paired"]:
        ahead = f"{row['wins']} of {row['n']}"
        shown.add_row(
            terminal.safe(f"{row['a']} − {row['b']}"),
            row["metric"],
            gap(*limits_of(row)),
            ahead,
            verdict(row),
        )
    return shown


def verdict(row: Mapping[str, Any]) -> str:
    """What a paired difference shows, from its 95% interval alone."""
    if row["low"] is None:
        return "too few seeds"
    if row["low"] > 0:
        return f"{row['a']} higher"
    return f"{row['b']} higher" if row["high"] < 0 else "undecided"


def limits_of(row: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """The mean of a row of a table of means, and its limits."""
    return row["mean"], row["low"], row["high"]
