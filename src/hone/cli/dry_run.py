"""`--dry-run`: build everything, sample one batch, verify one answer of it; train and write nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from hone.cli import terminal
from hone.core.problem import Verdict
from hone.core.recipe import Recipe, phase_number
from hone.core.stages import Prepares
from hone.core.trajectory import Trajectory
from hone.training.folder import RunFolder
from hone.training.progress import Progress
from hone.training.sampling import sample
from hone.training.session import open_session


def dry_run(phases: Sequence[Recipe], progress: Progress) -> None:
    """Try every phase: its memory plan, the first batch, and the verdicts of an oracle and of an answer in it.

    Later phases, whose model is what the one before them trains, are tried with the first one's.
    """
    for number, recipe in enumerate(phases, start=1):
        if number > 1:
            terminal.say(f"\nphase {number}, tried with the model of the first", "bold")
            recipe = first_models(recipe, phases[0].model)
        _try(recipe, progress)
    terminal.say("\nDry run: nothing was trained, nothing was written.", "bold")


def first_models(recipe: Recipe, model: str) -> Recipe:
    """The recipe with `model` in place of the models that phases make."""

    def there(name: str) -> str:
        return name if phase_number(name) is None else model

    models = {
        role: each.model_copy(update={"model": there(each.model)}) for role, each in recipe.models.items()
    }
    return recipe.model_copy(update={"model": there(recipe.model), "models": models})


def _try(recipe: Recipe, progress: Progress) -> None:
    session = open_session(recipe, RunFolder(Path("dry-run")), progress)
    progress.plan(session.recipe, session.method, session.plan)
    if isinstance(session.method.curriculum, Prepares):
        progress.note(
            "this curriculum asks the untrained model before the first step, which a dry run does not do: it draws as "
            "if nothing were known"
        )
    try:
        trajectories = sample(session, 1, session.context(1)).trajectories
    finally:
        if session.ahead is not None:
            session.ahead.stop()
    terminal.say(f"\n{batch_words(trajectories, session.method.episode.samples)}", "bold")
    first = trajectories[0]
    problem, state = first.problem, {"global_step": 0, "evaluation": False}

    def judged(text: str) -> Verdict:
        return asyncio.run(session.judge.score([problem], [text], state))[0]

    show("its first problem", problem.text())
    if problem.oracle is None:
        terminal.say("The task gives no oracle.", "dim")
    else:
        show("its oracle", problem.oracle, judged(problem.oracle))
    title = "one sampled answer" if session.method.episode.samples else "one demonstration"
    show(f"{title} ({first.num_actions} tokens, {first.finish_reason})", first.text, judged(first.text))


def batch_words(trajectories: Sequence[Trajectory], sampled: bool) -> str:
    """What a batch holds, in one sentence."""
    lengths = [t.num_actions for t in trajectories]
    cut = sum(t.finish_reason == "length" for t in trajectories)
    noun = "rollouts" if sampled else "demonstrations"
    problems = len({t.problem.id for t in trajectories})
    words = f"one batch: {len(lengths):,} {noun} of {problems:,} problems, {sum(lengths):,} tokens"
    words += f", the longest {max(lengths):,}"
    return f"{words}, {cut:,} cut off by `max_completion_length`" if cut else words


def show(title: str, text: str, verdict: Verdict | None = None) -> None:
    """A text under its title, with its verdict."""
    terminal.say(f"\n{title}", "bold")
    terminal.say(text.rstrip("\n") or "(empty)")
    if verdict is not None:
        reward = "no reward" if verdict.reward is None else f"reward {verdict.reward:g}"
        detail = f": {verdict.detail}" if verdict.detail else ""
        terminal.say(f"{reward} ({verdict.status}){detail}", "green" if verdict.reward else "yellow")
