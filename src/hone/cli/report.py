"""`hone report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hone.cli import terminal


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run folders, or one folder of a comparison or a sweep."),
    ],
    open_it: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
) -> None:
    """Write one self-contained HTML page about a run, several runs side by side, a comparison, or a sweep.

    Examples:

    - `hone report runs/demo --open`

    - `hone report runs/a runs/b`

    - `hone report runs/compare-demo`
    """
    from hone.report import build, build_comparison, build_sweep

    if len(runs) == 1 and (runs[0] / "compare.json").is_file():
        page = build_comparison(runs[0])
    elif len(runs) == 1 and (runs[0] / "sweep.json").is_file():
        page = build_sweep(runs[0])
    else:
        page = build(runs)
    terminal.say(page)
    if open_it:
        typer.launch(str(page))
