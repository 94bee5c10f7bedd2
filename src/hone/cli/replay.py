"""`hone replay`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hone.cli import codes

if TYPE_CHECKING:
    from rich.table import Table

    from hone.training.guards.replay import Replay

TEXT = 40  # characters of a rollout's text in the table
DTYPES = ("recipe", "float32", "bfloat16", "float64")
Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder in `bundles/` of a run folder.")]
Device = Annotated[str, typer.Option(help="Where to run it: auto, cpu or cuda.")]
Dtype = Annotated[
    str, typer.Option(help=f"Forward passes: {', '.join(DTYPES)}. What float64 does not find is precision.")
]


def replay(bundle: Folder, device: Device = "auto", dtype: Dtype = "recipe") -> None:
    """Look again at what a guard found: the same batch and weights, through credit, loss and gradient.

    Nothing is sampled, judged or trained. The readings of then and now stand side by side, with the guards that trip
    and the rollouts that have the largest part in the loss.

    Examples:

    - `hone replay runs/long/bundles/000012-gradient`

    - `hone replay runs/long/bundles/000012-nan --dtype float64 --device cpu`

    Exit codes: 0 the guard finds it again, 2 an error, 4 it does not.
    """
    from hone.cli import terminal
    from hone.core.options import require_choice
    from hone.training.guards.replay import replay as look_again

    require_choice("--dtype", dtype, DTYPES)
    seen = look_again(bundle, device, dtype)  # type: ignore[arg-type]
    finding = seen.stored.finding
    terminal.say(f"guard `{finding.guard}`, step {seen.stored.step}: {finding.says}", "bold")
    for text in notes(seen, dtype):
        terminal.say(f"note: {text}", "yellow")
    terminal.show_figures(readings_table(seen))
    if seen.worst:
        terminal.show_figures(worst_table(seen))
    for name, says in seen.trips.items():
        terminal.say(f"guard `{name}` finds now: {says}")
    if seen.reproduces:
        terminal.say("It is found again.", "bold")
        return
    terminal.say(f"It is not found again: guard `{finding.guard}` is silent.", "bold")
    raise typer.Exit(codes.NOT_REPRODUCED)


def notes(seen: Replay, dtype: str) -> list[str]:
    """What is other now than it was then."""
    from hone.training.versions import versions

    found, now = [], versions()
    if not seen.same_weights:
        found.append("the weights have another fingerprint than the bundle was written with")
    if seen.credit_off > 0:
        found.append(
            f"credit assigns advantages that differ by up to {seen.credit_off:.3g} from the stored ones"
        )
    if dtype != "recipe":
        found.append(f"forward passes are in {dtype}, not in the run's dtype")
    for name, was in seen.stored.software.items():
        if now.get(name) != was:
            found.append(f"{name} was {was}, it is {now.get(name)}")
    return found


def number(value: float | bool | None) -> str:
    """A reading as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if math.isfinite(value) else str(value)


def readings_table(seen: Replay) -> Table:
    """Readings then and now."""
    from hone.cli import terminal

    table = terminal.figures("", "reading", "then", "now")
    then, now = seen.stored.readings.known(), seen.now.known()
    for name in [*then, *(name for name in now if name not in then)]:
        table.add_row(name, number(then.get(name)), number(now.get(name)))
    return table


HEADS = (
    "rollout",
    "problem",
    "tokens",
    "reward",
    "advantage",
    "surprisal",
    "gap",
    "loss",
    "gradient",
    "text",
)


def worst_table(seen: Replay) -> Table:
    """The rollouts with the largest part in the loss."""
    from hone.cli import terminal

    table = terminal.figures("largest parts in the loss", *HEADS)
    for row in seen.worst:
        numbers = (row.reward, row.advantage, row.surprisal, row.gap, row.loss, row.norm)
        text = terminal.safe(" ".join(row.text.split())[:TEXT])
        table.add_row(str(row.rollout), row.problem[:8], str(row.tokens), *map(_short, numbers), text)
    return table


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
