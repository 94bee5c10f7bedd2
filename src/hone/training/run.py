"""Start, resume and read runs: the folder of a recipe and of its phases."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone import __version__
from hone.compute.spending import spent
from hone.core.recipe import Recipe, phase_name, phase_number
from hone.training import data
from hone.training.disk import named, write_whole
from hone.training.folder import RunFolder
from hone.training.lock import locked
from hone.training.loop import train
from hone.training.planning import settle
from hone.training.progress import Progress, Quiet
from hone.training.session import Session, open_session
from hone.training.stopping import Stop, listening

SUMMARY = "summary.json"


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
    """Run every phase in turn; a single phase lies in `out` itself, others in `phase-1` and so on.

    `reward` is the callable that `reward: callable:<name>` stands for. Returns the last phase's run and whether
    anything was left to do.
    """
    watcher = progress or Quiet()
    worked = False
    run = Run(out)
    with listening(watcher.note) as stop:
        for number, recipe in enumerate(phases, start=1):
            folder = out if len(phases) == 1 else out / phase_name(number)
            worked = _execute_one(_placed(recipe, out), folder, watcher, resume, reward, stop) or worked
            run = Run(folder)
    return run, worked


def _placed(recipe: Recipe, out: Path) -> Recipe:
    """The recipe with folders in place of the phases whose models it names."""

    def folder(name: str) -> str:
        return name if phase_number(name) is None else str(Run(out / name).final)

    models = {
        role: each.model_copy(update={"model": folder(each.model)}) for role, each in recipe.models.items()
    }
    return recipe.model_copy(update={"model": folder(recipe.model), "models": models})


def _execute_one(
    recipe: Recipe,
    path: Path,
    progress: Progress,
    resume: bool,
    reward: Callable[..., Any] | None,
    stop: Stop,
) -> bool:
    """Run one phase. Returns False if it was finished already."""
    folder = RunFolder(path)
    resume = resume and (path / "recipe.yaml").exists()
    stop.polite = False  # until there is something to keep
    with ExitStack() as held:
        if resume:
            held.enter_context(locked(path))
        session = open_session(recipe, folder, progress, resume, reward, stop)
        if resume and _finished(session):
            return False
        settled = settle(recipe, session.plan).dump()
        with named(f"{path}", "Make room on the disk, or write to another `--out`."):
            if resume:
                folder.write_recipe(settled)
            else:  # only now, so that a recipe that is refused leaves nothing behind
                held.enter_context(locked(path))
                folder.create(settled)
            if note := data.write(folder, session.data.record):
                progress.note(note)
        progress.plan(session.recipe, session.method, session.plan)
        stop.polite = True
        train(session)
        with named(f"{path / SUMMARY}", "Make room on the disk, and run again with `--resume`."):
            _summarise(session)
    stop.rest()
    return True


def _finished(session: Session) -> bool:
    """Whether everything that a run leaves is there: its summary is the last of it."""
    path = session.folder.path / SUMMARY
    if not session.done or not path.is_file() or not session.folder.final.is_dir():
        return False
    return bool(json.loads(path.read_text(encoding="utf-8")).get("step") == session.step)


def _summarise(session: Session) -> None:
    """Write summary.json: what ran, to which step, at what cost. Lines of logs that still wait are written first."""
    session.folder.flush()
    rate = session.recipe.price_per_hour
    body = {
        "formula": session.method.formula(),
        "hone": __version__,
        "step": session.step,
        "seconds": round(session.elapsed, 2),
        "seconds_by_phase": phase_seconds(session.folder),
        "price": None if rate is None else round(session.elapsed / 3600 * rate, 4),
        "finished": True,
        "best": None
        if session.best is None
        else {"step": session.best.step, session.best.metric: session.best.value},
        "stopped_early": session.stopped_early,
        **session.ledger.state(),
        **spent(session.costs, session.ledger),
        "flops/eval": None if session.costs is None else session.costs.flops(session.ledger)["eval"],
        "shortages": session.shortages,
    }
    write_whole(session.folder.path / SUMMARY, json.dumps(body, indent=2) + "\n")


def phase_seconds(folder: RunFolder) -> dict[str, float]:
    """Seconds of each phase, of the steps and evaluations that the run consists of; work that was lost is not in it."""
    total: dict[str, float] = {}
    for line in [*folder.read("metrics.jsonl"), *folder.read("eval.jsonl")]:
        for key, value in line.items():
            if key.startswith("time/"):
                name = key.removeprefix("time/")
                total[name] = total.get(name, 0.0) + value
    return {name: round(value, 2) for name, value in total.items()}
