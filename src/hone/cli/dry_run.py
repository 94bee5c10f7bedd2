"""`--dry-run`: build everything, verify one problem's oracle and one sampled answer, train and write nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hone.cli import terminal
from hone.core.problem import Verdict
from hone.core.recipe import Recipe
from hone.core.stages import Request
from hone.episodes import SingleTurn
from hone.training.folder import RunFolder
from hone.training.progress import Progress
from hone.training.rollouts import run_episodes
from hone.training.sampling import episode_context
from hone.training.session import open_session


def dry_run(recipe: Recipe, progress: Progress) -> None:
    """Show the memory plan, and the first training problem with the verdicts of its oracle and a sampled answer."""
    session = open_session(recipe, RunFolder(Path("dry-run")), progress)
    progress.plan(session.recipe, session.method, session.plan)
    problem = session.task.problem(0)
    show("first training problem", problem.text())
    state = {"global_step": 0, "evaluation": False}

    def judged(text: str) -> Verdict:
        return asyncio.run(session.judge.score([problem], [text], state))[0]

    if problem.oracle is None:
        terminal.say("The task gives no oracle.", "dim")
    else:
        show("its oracle", problem.oracle, judged(problem.oracle))
    session.engine.refresh()
    context = episode_context(session, session.context(1))
    trajectory = run_episodes([Request(problem, 1, group=0)], SingleTurn(), context, session.engine)[0]
    show(f"one sampled answer ({trajectory.num_actions} tokens, {trajectory.finish_reason})", trajectory.text,
         judged(trajectory.text))  # fmt: skip
    terminal.say("\nDry run: nothing was trained, nothing was written.", "bold")


def show(title: str, text: str, verdict: Verdict | None = None) -> None:
    """A text under its title, with its verdict."""
    terminal.say(f"\n{title}", "bold")
    terminal.say(text.rstrip("\n") or "(empty)")
    if verdict is not None:
        reward = "no reward" if verdict.reward is None else f"reward {verdict.reward:g}"
        detail = f": {verdict.detail}" if verdict.detail else ""
        terminal.say(f"{reward} ({verdict.status}){detail}", "green" if verdict.reward else "yellow")
