"""`hone tasks`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hone.cli import terminal

SHOWN = 3


def tasks(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show problems of this task.")] = None,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="OPTION=VALUE", help="Options of the task.")
    ] = None,
) -> None:
    """List the tasks, or show a few problems of one with the reference solutions.

    Examples:

    - `hone tasks`

    - `hone tasks maze sizes=11`

    - `hone tasks rg:leg_counting`

    - `hone tasks jsonl:my.jsonl prompt=question answer=solution`
    """
    if name is None:
        show_list()
    else:
        show_problems(name, options)


def show_list() -> None:
    """Print every kind of task, and which of reasoning-gym's there are."""
    from hone.tasks import TASKS, available

    width = max(map(len, TASKS))
    for known, about in TASKS.items():
        terminal.say(f"{known:{width}}  {about}")
    console = terminal.console()
    with console.status("asking reasoning-gym what it can build"):
        there, missing = available()
    terminal.say(f"\nrg: {len(there)} tasks of reasoning-gym", "bold")
    console.print(terminal.safe(", ".join(there)), width=min(console.width, terminal.WIDTH))
    if missing:
        terminal.say(f"\nNot available: {len(missing)}", "bold")
    for task, reason in missing.items():
        terminal.say(f"rg:{task}  {reason}")
    terminal.say("\n`hone tasks NAME` shows problems of a task.", "dim")


def show_problems(name: str, options: list[str] | None) -> None:
    """Print the first held-in problems of a task, and how many it has."""
    from hone.api import task as make
    from hone.cli.arguments import named
    from hone.tasks.bad_rows import of_files, said

    choice = named(name, options, prefix="")
    task = make(**choice)
    for part in of_files(task):
        for note in said(part.bad):
            terminal.say(f"note: {note}", "yellow")
        for line in part.bad.lines():
            terminal.say(terminal.indent(line))
    sizes = {split: task.size(split) for split in ("train", "test")}
    for split, size in sizes.items():
        terminal.say(f"{split}: {'no fixed number of' if size is None else f'{size:,}'} problems")
    size = sizes["train"]
    for index in range(SHOWN if size is None else min(SHOWN, size)):
        problem = task.problem(index)
        terminal.say(f"\nproblem {problem.id}, level {problem.level:g}", "bold")
        terminal.say(problem.text().rstrip("\n"))
        terminal.say("answer" if problem.oracle is None else "oracle", "dim")
        answer = (
            problem.answer
            if isinstance(problem.answer, str)
            else json.dumps(problem.answer, ensure_ascii=False)
        )
        terminal.say((answer if problem.oracle is None else problem.oracle).rstrip("\n"))
