"""`hone sweep`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hone.cli import codes, frontier, terminal
from hone.cli.compare import limits_of
from hone.cli.limits import share

if TYPE_CHECKING:
    from hone.training.sweep import SweepPlan


class RateRule(StrEnum):
    """How a cell's learning rate follows from the recipe's."""

    sqrt = "sqrt"
    constant = "constant"


def sweep(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped recipe or a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Keys to override, for every cell.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option("--grid", metavar="KEY=V1,V2", help="A key and its values; several make a grid."),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option("--runs", help="A YAML list of mappings of keys, one a cell, in place of a grid."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds of each cell, from 0.")] = 1,
    rollouts: Annotated[
        int | None, typer.Option(min=1, help="What every cell spends: it decides `steps`.")
    ] = None,
    sampled_tokens: Annotated[
        int | None, typer.Option("--sampled-tokens", min=1, help="The same in sampled tokens.")
    ] = None,
    learning_rate: Annotated[
        RateRule | None,
        typer.Option(
            "--learning-rate",
            help="sqrt: the recipe's rate times the root of how many more rollouts a step has than the recipe's; "
            "the default where cells set their number and not the rate. constant: the recipe's.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder; one that exists is gone on with.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes of one thread at a time.")] = 2,
    stop_dominated: Annotated[
        bool, typer.Option("--stop-dominated", help="Stop runs that are clearly behind and do not catch up.")
    ] = False,
    reuse: Annotated[
        list[Path] | None,
        typer.Option("--reuse", metavar="FOLDER", help="Take finished runs of equal recipes from here."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cells and their cost; run nothing.")
    ] = False,
) -> None:
    """Run a grid of recipes with several seeds under one budget: what does a rollout buy?

    Every cell is run with every seed in a process of its own, seed by seed, so that an interrupted sweep has whole
    grids; it goes on where it was when it is given the same `--out`. Runs are evaluated at their end, unless
    `eval.every` says otherwise. The folder has `sweep.json`, and a run folder for every cell and seed.

    With `--stop-dominated` a run is looked at whenever it has spent another 16th of its budget, from half of it on, and
    compared with the best run of its seed at the same compute: by the pass rate of fresh problems over the last two
    16ths, with 95% intervals over problems. It is stopped when its interval lay below the best one's at three looks in
    a row and the gap did not shrink. What it has written still serves; without the option it goes on.

    Examples:

    - `hone sweep demo --grid num_generations=4,16,64 --grid problems_per_step=8,16,32 --seeds 4 --rollouts 16384`

    - `hone sweep demo --grid method=rloo,maxrl --grid learning_rate=1e-4,2e-4 --seeds 2 steps=40 --dry-run`

    - `hone sweep my_recipe.yaml --runs cells.yaml --sampled-tokens 500000 --out runs/cells`

    Exit codes: 0 done, 1 a run failed, 2 an error.
    """
    from hone.api import new_folder, plan_sweep
    from hone.cli.arguments import grid as parsed
    from hone.recipes.load import parse_overrides, read_list
    from hone.report import build_sweep
    from hone.training.sweep import run_sweep

    plan = plan_sweep(
        recipe,
        parsed(grid) if grid else None,
        parse_overrides(list(overrides or ())),
        runs=read_list(runs) if runs else None,
        seeds=seeds,
        rollouts=rollouts,
        sampled_tokens=sampled_tokens,
        learning_rate_rule=learning_rate.value if learning_rate else None,
    )
    show_plan(plan)
    if dry_run:
        terminal.say("\nDry run: nothing was trained, nothing was written.", "bold")
        return
    folder = out or new_folder(f"sweep-{Path(recipe).stem}")
    terminal.say(f"folder {folder}\n", "dim")
    found = run_sweep(
        plan, folder, workers=workers, stop_dominated=stop_dominated, reuse=reuse or (), tell=terminal.say
    )
    show(found)
    if found["frontier"] is not None:
        frontier.show(found["frontier"])
    terminal.say(f"report   {build_sweep(folder)}")
    for name, output in found["failures"].items():
        terminal.show_line(f"error: {name} failed: {output}")
    if found["failures"]:
        raise typer.Exit(codes.FAULT)


def show_plan(plan: SweepPlan) -> None:
    """Print the cells with their steps, rates and cost, and what should be known of them."""
    from hone.report.words import count
    from hone.training.cells import said_of

    title = f"{len(plan.cells):,} cells × {plan.seeds:,} seeds"
    shown = terminal.figures(title, "cell", "rollouts a step", "steps", "learning rate", "cost of a run")
    for cell in plan.cells:
        tokens = cell.recipe.max_sampled_tokens
        steps = f"{cell.recipe.steps:,}" if tokens is None else "by tokens"
        cost = f"{cell.rollouts:,} rollouts" if tokens is None else f"{count(tokens)} sampled tokens"
        rate = f"{cell.recipe.learning_rate:g}"
        shown.add_row(terminal.safe(cell.name), f"{cell.batch:,}", steps, rate, cost)
    terminal.show_figures(shown)
    rule = {"sqrt": "scaled by the root of the rollouts of a step", "constant": "the recipe's"}[plan.rule]
    terminal.say(f"learning rates: {rule}, unless a cell sets its own", "dim")
    terminal.say(f"in all: {total(plan)}", "bold")
    for text in said_of(plan.cells, plan.budget):
        terminal.say(f"note: {text}", "yellow")


def total(plan: SweepPlan) -> str:
    """What the whole sweep spends."""
    from hone.report.words import count

    by_tokens = [cell.recipe.max_sampled_tokens for cell in plan.cells if cell.recipe.max_sampled_tokens]
    by_rollouts = [cell for cell in plan.cells if cell.rollouts is not None]
    parts = []
    if by_rollouts:
        rollouts = plan.seeds * sum(cell.rollouts or 0 for cell in by_rollouts)
        most = plan.seeds * sum((c.rollouts or 0) * c.recipe.max_completion_length for c in by_rollouts)
        parts.append(f"{count(rollouts)} rollouts of at most {count(most)} tokens")
    if by_tokens:
        parts.append(f"{count(plan.seeds * sum(by_tokens))} sampled tokens")
    return f"{plan.seeds * len(plan.cells):,} runs, {' and '.join(parts)}"


def show(found: Mapping[str, Any]) -> None:
    """Print the table of cells: means over seeds with 95% limits, and how many runs finished or were stopped."""
    metrics = found["metrics"]
    results = terminal.figures("held-out problems, mean over seeds", "cell", "runs", *metrics)
    before = found["before"]
    if before:
        limits = (before.get(metric) for metric in metrics)
        shown = [share(v["value"], v["low"], v["high"]) if v else "–" for v in limits]
        results.add_row("before", "", *shown, style="dim")
    for cell in found["cells"]:
        runs = [row for row in found["runs"] if row["cell"] == cell["name"]]
        rows = {row["metric"]: row for row in found["table"] if row["cell"] == cell["name"]}
        stopped = sum(row["stopped"] is not None for row in runs)
        many = f"{len(runs)}" + (f", {stopped} stopped" if stopped else "")
        results.add_row(
            terminal.safe(cell["name"]), many, *(share(*limits_of(rows[metric])) for metric in metrics)
        )
    terminal.show_figures(results)
