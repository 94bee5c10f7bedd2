"""Start, resume and read runs: the folder of a recipe and of its phases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone import __version__
from hone.core.errors import CheckpointError
from hone.core.recipe import Recipe
from hone.training import checkpoint, data
from hone.training.folder import RunFolder, write_whole
from hone.training.lock import locked
from hone.training.loop import train
from hone.training.planning import settle
from hone.training.progress import Progress, Quiet
from hone.training.session import open_session


@dataclass(frozen=True)
class Run:
    """A run folder and what it says."""

    path: Path

    @property
    def final(self) -> Path:
        """The trained model, in Hugging Face layout."""
        return self.path / "final"

    def metrics(self) -> list[dict[str, Any]]:
        """Lines of metrics.jsonl, one a step."""
        return RunFolder(self.path).read("metrics.jsonl")

    def evals(self) -> list[dict[str, Any]]:
        """Lines of eval.jsonl."""
        return RunFolder(self.path).read("eval.jsonl")

    def events(self) -> list[dict[str, Any]]:
        """Lines of events.jsonl: what broke into the run, such as memory that ran out and guards that tripped."""
        return RunFolder(self.path).read("events.jsonl")

    def recipe(self) -> dict[str, Any]:
        """The resolved recipe."""
        return RunFolder(self.path).read_recipe()


def execute(
    phases: Sequence[Recipe],
    out: Path,
    progress: Progress | None = None,
    resume: bool = False,
    reward: Callable[..., Any] | None = None,
) -> tuple[Run, bool]:
    """Run every phase in turn, each from the last one's `final/`; a single phase lies in `out` itself.

    `reward` is the callable that `reward: callable:<name>` stands for. Returns the last phase's run and whether
    anything was left to do.
    """
    watcher = progress or Quiet()
    model: str | None = None
    worked = False
    run = Run(out)
    for number, recipe in enumerate(phases, start=1):
        folder = out if len(phases) == 1 else out / f"phase-{number}"
        if model is not None:
            recipe = recipe.model_copy(update={"model": model})
        worked = _execute_one(recipe, folder, watcher, resume, reward) or worked
        run = Run(folder)
        model = str(run.final)
    return run, worked


def _execute_one(
    recipe: Recipe, path: Path, progress: Progress, resume: bool, reward: Callable[..., Any] | None
) -> bool:
    """Run one phase. Returns False if it was finished already."""
    folder = RunFolder(path)
    resume = resume and (path / "recipe.yaml").exists()
    with ExitStack() as held:
        if resume:
            held.enter_context(locked(path))
            _want_checkpoint(folder)
        session = open_session(recipe, folder, progress, resume, reward)
        if resume and session.done and checkpoint.newest(folder.checkpoints)[1].finished:
            return False
        settled = settle(recipe, session.plan).dump()
        if resume:
            folder.write_recipe(settled)
        else:  # only now, so that a recipe that is refused leaves nothing behind
            held.enter_context(locked(path))
            folder.create(settled)
        if note := data.write(folder, session.data.record):
            progress.note(note)
        progress.plan(session.recipe, session.method, session.plan)
        train(session)
        cost = {**session.ledger.state(), "shortages": session.shortages}
        _summarise(folder, session.method.formula(), cost, session.elapsed)
    return True


def _want_checkpoint(folder: RunFolder) -> None:
    """Raise CheckpointError unless the folder has something to resume from."""
    if not checkpoint.steps(folder.checkpoints):
        raise CheckpointError(
            f"{folder.path} holds a run without a checkpoint, so there is nothing to resume.",
            "Start it anew with another `--out`; set `checkpoint.every` to be able to resume.",
        )


def _summarise(folder: RunFolder, formula: str, cost: dict[str, int], seconds: float) -> None:
    """Write summary.json: what ran, at what cost."""
    import json

    body = {"formula": formula, "hone": __version__, "seconds": round(seconds, 2), "finished": True, **cost}
    write_whole(folder.path / "summary.json", json.dumps(body, indent=2) + "\n")
