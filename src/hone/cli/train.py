"""`hone train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RECIPE KEY=VALUE", help="A shipped recipe or a YAML file, then keys to override."
    ),
]
Out = Annotated[Path | None, typer.Option(help="The run folder; by default a new one under runs/.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint of --out.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Build everything, sample one batch, verify one answer, train nothing."),
]
WithReport = Annotated[bool, typer.Option("--report/--no-report", help="Write report.html at the end.")]


def train(
    words: Words = None,
    out: Out = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    report: WithReport = True,
) -> None:
    """Train a model by reinforcement, and say what it gained at what cost.

    Without a recipe it is the embedded demo, or, for a `task` of your own, the recipe `own`, whose settings suit a
    pretrained model. Keys are set as `key=value`, nested ones with dots; a key that no part
    of the recipe reads is an error. With --resume and no recipe, the run's own recipe is taken.

    Examples:

    - `hone train` (the demo)

    - `hone train demo method=maxrl num_generations=32 seed=1`

    - `hone train task=jsonl:my.jsonl reward=my_rewards.py:score model=path/or/name`

    - `hone train demo steps=200 checkpoint.every=20 --out runs/long`

    - `hone train --resume --out runs/long`

    - `hone train my_recipe.yaml --dry-run`

    Ctrl-C, SIGTERM and SIGHUP let the step end, or give it up after 5 seconds, and leave a checkpoint. A second one
    stops at once, and the last checkpoint stays.

    Exit codes: 0 done, 1 a fault of hone itself, 2 an error, 3 nothing left to resume, 129, 130 or 143 stopped by
    SIGHUP, Ctrl-C or SIGTERM.
    """
    from hone.cli import training
    from hone.cli.arguments import split

    source, overrides = split(words)
    default = "own" if "task" in overrides else "demo"
    name, phases = training.prepare(source, overrides, default, out, resume)
    training.go(name, phases, out, resume, dry_run, report)
