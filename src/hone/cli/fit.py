"""`hone fit`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hone.cli import frontier, terminal
from hone.cli.limits import gap, share


class UnitChoice(StrEnum):
    """What compute is counted in."""

    rollouts = "rollouts"
    sampled_tokens = "sampled_tokens"
    tokens = "tokens"
    flops = "flops"
    seconds = "seconds"
    price = "price"


class FormChoice(StrEnum):
    """The curve that is fitted."""

    scalerl = "scalerl"
    sigmoid = "sigmoid"
    power = "power"


def fit(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders and folders of sweeps.")],
    unit: Annotated[UnitChoice, typer.Option(help="What compute is counted in.")] = UnitChoice.rollouts,
    metric: Annotated[
        str, typer.Option(help="pass@k or worst@k of fresh problems, k as many as you like.")
    ] = "pass@1",
    form: Annotated[
        FormChoice,
        typer.Option(help="scalerl: its own protocol. sigmoid: all parameters free. power: a power law."),
    ] = FormChoice.scalerl,
    at: Annotated[
        list[float] | None, typer.Option("--at", help="A budget to predict at; by default twice the largest.")
    ] = None,
    beyond: Annotated[
        float, typer.Option(min=1.0, help="How many times the largest compute a prediction may be at.")
    ] = 4.0,
    price_per_hour: Annotated[
        float | None,
        typer.Option("--price-per-hour", help="What an hour of the machine costs, for unit price."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A folder to write fit.json and report.html into.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list with the fit of each recipe.")
    ] = False,
) -> None:
    """Fit reward against compute: where each recipe ends, how fast it gets there, and which wins at which budget.

    Runs of one recipe but for the seed are one curve, R(C) = R0 + (A - R0) / (1 + (C_mid / C)^B): A is the asymptote,
    B the efficiency, C_mid the compute at half way. Readings are the pass rates of fresh problems before each update,
    or evaluations where a task repeats its problems. Intervals are 95%, from redrawing seeds and readings. A curve that
    the data do not pin down says why; predictions further beyond the data than `--beyond` are refused.

    Examples:

    - `hone fit runs/sweep-demo`

    - `hone fit runs/a runs/b runs/c --unit sampled_tokens --metric pass@4 --at 1e6`

    - `hone fit runs/sweep-demo --form sigmoid --json`
    """
    from hone.report import build_fit
    from hone.training.disk import write_whole
    from hone.training.fitting import fit_runs

    found = fit_runs(
        runs,
        unit=unit.value,
        metric=metric,
        form=form.value,
        at=at or (),
        beyond=beyond,
        price_per_hour=price_per_hour,
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "fit.json", json.dumps(found, indent=2, allow_nan=False) + "\n")
        build_fit(found, out / "report.html", price_per_hour=price_per_hour)
    if as_json:
        print(json.dumps(found["recipes"], allow_nan=False))
        return
    show(found)
    if out is not None:
        terminal.say(f"\nwritten  {out / 'fit.json'}\nreport   {out / 'report.html'}")


def show(found: Mapping[str, Any]) -> None:
    """Print curves, standings, predictions and their checks, and the frontier."""
    _curves(found)
    _standings(found)
    _predictions(found)
    _checks(found)
    if found["frontier"] is not None:
        frontier.show(found["frontier"])


def _curves(found: Mapping[str, Any]) -> None:
    title = f"{found['metric']} against {found['unit']}, {found['form']}"
    shown = terminal.figures(title, "recipe", "runs", "A", "B", "C_mid", "R0", "")
    for row in found["recipes"]:
        numbers = [_number(row["A"]), _number(row["B"]), _number(row["C_mid"]), _number(row["R0"])]
        known = "" if row["identified"] else "not identified"
        shown.add_row(terminal.safe(row["recipe"]), str(len(row["runs"])), *numbers, known)
    terminal.show_figures(shown)
    for row in found["recipes"]:
        if row["doubts"]:
            terminal.say(f"note: {row['recipe']}: {'; '.join(row['doubts'])}", "yellow")
    for name, why in found["left_out"].items():
        terminal.say(f"note: {name} is left out: {why}", "yellow")


def _standings(found: Mapping[str, Any]) -> None:
    if not found["standings"]:
        return
    shown = terminal.figures(
        "\nwhich wins", found["unit"], "of the data", "best", "reward", "lead over the second", ""
    )
    for row in found["standings"]:
        verdict = "real" if row["real"] else "undecided"
        shown.add_row(
            f"{row['compute']:,.0f}", f"{row['times_the_data']:.2g}×", terminal.safe(row["order"][0]),
            share(**row["rewards"][0]), gap(**row["lead"]), verdict,
        )  # fmt: skip
    terminal.show_figures(shown)
    for row in found["efficiency"]:
        if row["real"]:
            better, worse = (row["a"], row["b"]) if row["value"] > 0 else (row["b"], row["a"])
            terminal.say(
                f"{better} and {worse} end alike, and {better} gets there faster (B at A = {row['A']:.3f})"
            )


def _predictions(found: Mapping[str, Any]) -> None:
    shown = terminal.figures("\npredicted", "recipe", found["unit"], "beyond the data", found["metric"])
    for row in found["recipes"]:
        for one in row["predictions"]:
            times = f"{one['times_the_data']:.2g}×" if one["times_the_data"] > 1 else "within"
            shown.add_row(
                terminal.safe(row["recipe"]),
                f"{one['compute']:,.0f}",
                times,
                share(one["value"], one["low"], one["high"]),
            )
    terminal.show_figures(shown)


def _checks(found: Mapping[str, Any]) -> None:
    """How far a curve through the first half misses the second, and what raw records would claim too much."""
    from hone.report.words import points

    columns = ("scalerl", "without early", "power law", "without early", "bias of records")
    shown = terminal.figures(
        "\nfirst half predicts the end (predicted − measured, points)", "recipe", *columns
    )
    for row in found["recipes"]:
        missed = [points(one["end"]) if "end" in one else "–" for one in row["held_out"]]
        shown.add_row(terminal.safe(row["recipe"]), *missed, points(row["record_bias"]["end"]["value"]))
    terminal.show_figures(shown)


def _number(value: Mapping[str, float | None]) -> str:
    """A parameter with its limits, as rich markup."""
    from hone.report.words import figure

    middle, low, high = (value[key] for key in ("value", "low", "high"))
    if middle is None:
        return "–"
    limits = "" if low is None or high is None else rf" \[{figure(low)}, {figure(high)}]"
    return f"{figure(middle)}{limits}"
