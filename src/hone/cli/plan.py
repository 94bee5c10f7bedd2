"""`hone plan`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hone.cli import terminal
from hone.cli.train import Words

BAR = 40  # characters of the longest bar


def plan(
    budget: Annotated[float, typer.Option("--budget", help="How much there is to spend, in --unit.")],
    words: Words = None,
    unit: Annotated[
        str, typer.Option("--unit", help="rollouts, sampled_tokens, tokens, flops, hours or price.")
    ] = "rollouts",
    price_per_hour: Annotated[
        float | None, typer.Option("--price-per-hour", help="What an hour of this machine costs.")
    ] = None,
    sweep: Annotated[
        Path | None, typer.Option("--sweep", help="Plan from the runs of this sweep, not from a prior.")
    ] = None,
    max_extrapolation: Annotated[
        float | None,
        typer.Option(
            "--max-extrapolation",
            min=1,
            help="How many times beyond the sweep's runs a plan may go; 4 if left out.",
        ),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", help="What to raise: pass@1, best@4 or worst@4, with any k.")
    ] = "pass@1",
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, help="Rollouts of a step, where hardware fixes them.")
    ] = None,
    problems: Annotated[int, typer.Option(min=1, help="Training problems to measure the model on.")] = 64,
    samples: Annotated[int, typer.Option(min=1, help="Samples of each of them.")] = 16,
    out: Annotated[
        Path | None, typer.Option(help="Write the planned recipe here, and the measurement beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Plan a budget: rollouts of a problem, problems of a step, steps and learning rate, with the reasons.

    With --sweep it rests on the runs of `hone sweep`, whose recipe is taken unless one is given, and predicts what is
    reached. Without, the model is measured on a few training problems, which takes minutes, and published constants
    serve as a prior. It prints a recipe that `hone train` takes.

    Examples:

    - `hone plan demo --budget 16384`

    - `hone plan --sweep runs/sweep-demo --budget 60000 --out planned.yaml`

    - `hone plan task=jsonl:my.jsonl model=path/or/name --budget 8 --unit hours --out planned.yaml`

    - `hone plan my_recipe.yaml --budget 200 --unit price --price-per-hour 2.5 --target best@4 --json`
    """
    from typing import cast

    from hone.api import plan as make
    from hone.cli.arguments import split
    from hone.compute.rollout_cost import BudgetUnit

    source, overrides = split(words)
    cache = None if out is None else out.with_suffix(".base.json")
    if source is None and sweep is None:
        source = "own" if "task" in overrides else "demo"
    found = make(
        source, budget=budget, unit=cast(BudgetUnit, unit), sweep=sweep, target=target, batch=batch, problems=problems,
        samples=samples, price_per_hour=price_per_hour, max_extrapolation=max_extrapolation, cache=cache,
        progress=Notes(), **overrides,
    )  # fmt: skip
    if out is not None:
        from hone.training.disk import write_whole

        write_whole(out, recipe_text(found["recipe"]))
    if as_json:
        print(json.dumps(found))
        return
    show(found)
    if out is not None:
        terminal.say(f"\nrecipe   {out}: `hone train {out}`")


class Notes:
    """Tells on standard error what a measurement is doing; its steps are no run's."""

    def note(self, text: str) -> None:
        """One line."""
        terminal.show_line(text)

    def plan(self, *_: Any) -> None:
        """Not shown."""

    def step(self, *_: Any) -> None:
        """Not shown."""

    def evaluation(self, *_: Any) -> None:
        """Not shown."""


def recipe_text(recipe: Mapping[str, Any]) -> str:
    """A recipe as YAML."""
    import yaml

    return str(yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True))


def show(found: Mapping[str, Any]) -> None:
    """Print a plan: what was measured, the numbers, why, how sure, what to mind, and the recipe."""
    if "sweep" in found:
        swept(found["sweep"], found["target"])
    else:
        measured(found)
    terminal.say("\nplan", "bold")
    table = terminal.figures(
        "", "rollouts of a problem", "problems of a step", "steps", "learning rate", "rollouts"
    )
    table.add_row(
        f"{found['num_generations']:,}", f"{found['problems_per_step']:,}", f"{found['steps']:,}",
        f"{found['learning_rate']:g}", f"{found['rollouts']:,}",
    )  # fmt: skip
    terminal.show_figures(table)
    terminal.say(terminal.paragraph(expectation(found)))
    sections = (("why", "why", ""), ("how sure", "sure", ""), ("mind", "warnings", "yellow"))
    for title, key, style in sections:
        if found[key]:
            terminal.say(f"\n{title}", "bold")
        for text in found[key]:
            terminal.say(terminal.paragraph(f"- {text}"), style)
    terminal.say("\nrecipe", "bold")
    terminal.say(recipe_text(found["recipe"]).rstrip())


def measured(found: Mapping[str, Any]) -> None:
    """Print the pass rates of the base model as bars, and the cost of a rollout."""
    difficulty, cost = found["difficulty"], found["cost"]
    rate = difficulty["pass@1"]
    terminal.say(
        f"base model: {difficulty['name']}, pass@1 {share(rate)} on "
        f"{difficulty['problems']:,} training problems, {difficulty['samples']:,} samples each",
        "bold",
    )
    for line in bars(difficulty["histogram"]):
        terminal.say(line)
    flops = "" if cost["flops"] is None else f", {cost['flops']:.3g} FLOPs"
    terminal.say(
        f"a rollout: prompt of {cost['prompt_tokens']:.1f} tokens, answer of {cost['completion_tokens']:.1f}, "
        f"{cost['seconds']:.3g} s sampled and trained{flops}"
    )


def swept(sweep: Mapping[str, Any], target: str) -> None:
    """Print the best group at budgets within the sweep."""
    from hone.report.words import percent

    terminal.say(f"sweep {sweep['folder']}: the best number of rollouts of a problem", "bold")
    table = terminal.figures("", sweep["unit"], "best", "95%", "identified", target)
    for row in sweep["frontier"]:
        table.add_row(
            f"{row['compute']:,.0f}", f"{row['num_generations']}", f"{row['low']} to {row['high']}",
            "yes" if row["identified"] else "no", percent(row["reward"], 1),
        )  # fmt: skip
    terminal.show_figures(table)


def bars(histogram: list[int]) -> list[str]:
    """A histogram of rates in equal bins as lines of text."""
    most, width = max(max(histogram), 1), 1 / len(histogram)
    return [
        f"  {at * width:.1f} to {(at + 1) * width:.1f}  {'█' * -(-BAR * count // most)} {count}"
        for at, count in enumerate(histogram)
    ]


def expectation(found: Mapping[str, Any]) -> str:
    """What the plan is expected to reach, or why nothing is."""
    basis = {"prior": "Basis: a prior.", "sweep": "Basis: your sweep."}[found["basis"]]
    expected = found["expected"]
    if expected is None:
        return f"{basis} Expected {found['target']}: not predicted. {found['expected_reason']}"
    return f"{basis} Expected {found['target']}: {share(expected)}."


def share(value: Mapping[str, float | None]) -> str:
    """A share with its 95% limits; without them where there are none."""
    from hone.report.words import percent

    low, high = value["low"], value["high"]
    limits = "" if low is None or high is None else f" [{percent(low, 1)}, {percent(high, 1)}]"
    return f"{percent(value['value'] or 0.0, 1)}{limits}"
