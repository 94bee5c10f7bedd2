"""The entry point: every command in one application, and errors as one paragraph."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from hone.cli import (
    bench,
    codes,
    compare,
    doctor,
    fit,
    methods,
    recipes,
    replay,
    report,
    sft,
    sweep,
    tasks,
    terminal,
    train,
)
from hone.cli import eval as evaluate
from hone.core.errors import HoneError


class Commands(TyperGroup):
    """A group whose commands may raise HoneError: it is shown without a traceback. Other exceptions pass through."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except HoneError as error:
            terminal.show_error(error)
            raise typer.Exit(codes.ERROR) from None
        except KeyboardInterrupt as stop:
            terminal.show_line("Interrupted.")
            raise typer.Exit(codes.stopped_by(codes.signal_of(stop))) from None


app = typer.Typer(
    name="hone",
    cls=Commands,
    help="Makes a model better at problems whose answers can be checked.\n\nStart with `hone train`: it trains the "
    "embedded demo on this machine in minutes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
COMMANDS: dict[str, Callable[..., None]] = {
    "train": train.train,
    "sft": sft.sft,
    "eval": evaluate.evaluate,
    "compare": compare.compare,
    "sweep": sweep.sweep,
    "fit": fit.fit,
    "methods": methods.methods,
    "recipes": recipes.recipes,
    "tasks": tasks.tasks,
    "report": report.report,
    "replay": replay.replay,
    "bench": bench.bench,
    "doctor": doctor.doctor,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def run() -> None:
    """The `hone` command. It ends with one of the exit codes in `codes`."""
    try:
        app()
    except Exception as error:
        terminal.show_traceback(error)
        sys.exit(codes.FAULT)


if __name__ == "__main__":
    run()
