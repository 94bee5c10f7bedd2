"""What `hone train` and `hone sft` share: show what a run will be, run it, sum it up."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from hone.cli import codes, derived, summary, terminal
from hone.cli.dry_run import dry_run
from hone.cli.progress import RichProgress
from hone.core.errors import CheckpointError, HoneError, RecipeError
from hone.core.method import Method
from hone.core.recipe import Recipe


def prepare(
    source: str | None, overrides: Mapping[str, Any], default: str, out: Path | None, resume: bool
) -> tuple[str, list[Recipe]]:
    """The recipe's source and its phases. A run to resume brings its own recipe.

    Raises CheckpointError if a run to resume is not named or needs its recipe, RecipeError for a bad recipe.
    """
    from hone.recipes.load import resolve

    if resume and out is None:
        raise CheckpointError("A run to resume needs its folder.", "Name it with `--out`.")
    if resume and source is None and out is not None:
        source = str(out / "recipe.yaml")
        if not Path(source).is_file():
            raise CheckpointError(
                f"{out} holds no recipe.yaml to resume from.", "Check `--out`, or name the recipe."
            )
    source = source or default
    return source, resolve(source, overrides)


def want_demonstrations(phases: Sequence[Recipe]) -> None:
    """Raise RecipeError if a phase samples its answers."""
    from hone.catalog import build_method

    for recipe in phases:
        if build_method(recipe).episode.samples:
            raise RecipeError(
                f"`method: {recipe.method}` learns from its own samples, not from demonstrations.",
                "Use `hone train`, or set `method=sft`.",
            )


def show_plan(phases: Sequence[Recipe]) -> None:
    """Print the resolved formula, the derived table and the notes of every phase."""
    from hone.catalog import build_method
    from hone.methods import cards

    for number, recipe in enumerate(phases, start=1):
        method: Method = build_method(recipe)
        card = cards.load(recipe.method)
        before = f"phase {number} of {len(phases)}: " if len(phases) > 1 else ""
        terminal.say(f"{before}{recipe.model} on {recipe.task.name} by {card.title}", "bold")
        terminal.say(terminal.indent(method.formula()), "cyan")
        terminal.console().print(derived.table(recipe, method))
        for text in derived.notes(recipe, method):
            terminal.say(f"note: {text}", "yellow")


def go(
    source: str, phases: Sequence[Recipe], out: Path | None, resume: bool, only_try: bool, report: bool
) -> None:
    """Run the phases into `out` (a new folder under runs/ by default), or only try them; then sum up.

    Raises typer.Exit with a code of `codes` if a run to resume has nothing left to do, or a signal stops it.
    """
    from transformers.utils import logging as transformers_logging

    from hone.api import new_folder
    from hone.training.run import execute

    transformers_logging.disable_progress_bar()  # of writing checkpoints: it would run into ours
    show_plan(phases)
    console = terminal.console()
    budget = phases[0].max_sampled_tokens if len(phases) == 1 else None
    if only_try:
        dry_run(phases, RichProgress(console, budget))
        return
    folder = out or new_folder(source)
    terminal.say(f"run folder {folder}\n", "dim")
    try:
        with RichProgress(console, budget) as progress:
            run, worked = execute(phases, folder, progress, resume)
    except KeyboardInterrupt as stop:
        number = codes.signal_of(stop)
        terminal.show_line(stopped(folder, number))
        raise typer.Exit(codes.stopped_by(number)) from None
    if not worked:
        terminal.say(f"Nothing left to do: {folder} has finished its steps. Raise `steps` to go on.")
        raise typer.Exit(codes.NOTHING_TO_DO)
    written = json.loads((run.path / "summary.json").read_text(encoding="utf-8"))
    summary.show(run.path, run.evals(), written)
    if report:
        show_report(run.path)


def stopped(folder: Path, number: int) -> str:
    """What a run that a signal stopped leaves, and how to go on."""
    from hone.training import checkpoint

    by = "Interrupted" if number == signal.SIGINT else f"Stopped by {signal.Signals(number).name}"
    phases = sorted(folder.glob("phase-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    last = phases[-1] if phases else folder
    if not (last / "recipe.yaml").is_file() and not phases:
        return f"{by} before the run began: there is nothing to resume."
    found = checkpoint.steps(last / "checkpoints")
    where = f"step {found[-1]}" if found else "the beginning, as it has no checkpoint yet,"
    where += f" of {last.name}" if phases else ""
    words = "hone train RECIPE" if phases else "hone train"
    return f"{by}. Resume from {where} by `{words} --resume --out {folder}`."


def show_report(folder: Path) -> None:
    """Build a run's report; a report that cannot be made is said and costs nothing else."""
    from hone.report import build

    try:
        terminal.say(f"report   {build([folder])}")
    except HoneError as error:
        terminal.say(f"no report: {error}", "yellow")
