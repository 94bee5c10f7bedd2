"""What a curriculum wants to know of the untrained model: asked before the first step, kept in the run folder."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from hone.compute.ledger import Ledger
from hone.core.errors import CheckpointError
from hone.core.noise import NoiseKey
from hone.core.stages import Prepares, Request
from hone.core.trajectory import Trajectory
from hone.training.charging import charge_step
from hone.training.disk import write_whole
from hone.training.rollouts import episodes
from hone.training.stages import refuse_errors

if TYPE_CHECKING:
    from hone.training.session import Session

FILE = "prepared.json"


def prepare(s: Session) -> None:
    """Ask the untrained model what the curriculum wants to know, round after round, and say what was found.

    After each round the state is written into prepared.json, where a run that was stopped goes on. What was sampled
    is charged to the ledger as the rollouts of steps are, so it counts towards a budget.
    """
    curriculum = s.method.curriculum
    if s.step or not isinstance(curriculum, Prepares):
        return
    _go_on(s)
    began, asked = time.perf_counter(), 0
    while requests := curriculum.ask(s.curriculum_state, s.task):
        s.stop.rest()
        done = s.curriculum_state.get("rounds", 0)
        before = s.ledger.state()
        found = s.stop.run(_attempts(s, requests))
        charge_step(s.ledger, found, sampled=True)
        asked += len(found)
        spent = {k: v - before[k] for k, v in s.ledger.state().items() if v != before[k]}
        total = Ledger.from_state(s.curriculum_state.get("spent", {}))
        total.add(**{k: int(v) for k, v in spent.items()})
        heard = curriculum.hear(s.curriculum_state, s.task, s.judge, found)
        s.curriculum_state = {
            **heard,
            "rounds": done + 1,
            "spent": {k: v for k, v in total.state().items() if v},
        }
        if s.folder.path.is_dir():
            write_whole(s.folder.path / FILE, json.dumps(s.curriculum_state, indent=1) + "\n")
        s.progress.note(f"preparing: round {done + 1}, {asked:,} answers of the untrained model")
    for note in curriculum.settled(s.curriculum_state):
        s.progress.note(note)
    if asked:
        s.opening["prepare"] = time.perf_counter() - began


def _go_on(s: Session) -> None:
    """Take up the rounds that a run which was stopped has left, and charge what they took."""
    path = s.folder.path / FILE
    if not path.is_file():
        return
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        rounds, spent = stored["rounds"], stored["spent"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} is damaged: {error}.", "Remove it; its rounds are run again."
        ) from error
    if rounds > s.curriculum_state.get("rounds", 0):
        known = s.curriculum_state.get("spent", {})
        s.ledger.add(**{k: v - known.get(k, 0) for k, v in spent.items()})
        s.curriculum_state = stored
        s.progress.note(f"preparing goes on after {rounds} rounds, as {path} has them")


async def _attempts(s: Session, requests: list[Request]) -> list[Trajectory]:
    """The rollouts of a round, with verdicts."""
    s.engine.refresh()
    context = replace(s.context(0), judge=s.judge, noise=NoiseKey(s.recipe.seed, "prepare"))
    found = await episodes(requests, s.method.episode, context, s.engine)
    state = {"global_step": 0, "evaluation": False}
    verdicts = await s.judge.score([t.problem for t in found], [t.text for t in found], state)
    refuse_errors(verdicts, s.recipe.max_error_share)
    return [replace(t, verdict=v) for t, v in zip(found, verdicts, strict=True)]
