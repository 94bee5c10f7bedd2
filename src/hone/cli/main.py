"""The entry point: every command in one application, and errors as one paragraph."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from hone.cli import bench, compare, doctor, methods, recipes, replay, report, sft, tasks, terminal, train
from hone.cli import eval as evaluate
from hone.core.errors import HoneError

FAULT, ERROR, INTERRUPTED = 1, 2, 130


class Commands(TyperGroup):
    """A group whose commands may raise HoneError: it is shown without a traceback. Other exceptions pass through."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except HoneError as error:
            terminal.show_error(error)
            raise typer.Exit(ERROR) from None
        except KeyboardInterrupt:
            terminal.show_line("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None


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
    """The `hone` command. Exit codes: 0 done, 1 a part failed, 2 an error, 3 nothing left to do, 4 a replay that finds
    nothing, 130 interrupted."""
    try:
        app()
    except Exception as error:
        terminal.show_traceback(error)
        sys.exit(FAULT)


if __name__ == "__main__":
    run()
