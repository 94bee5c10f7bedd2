"""What a run leaves on disk beside its logs: checkpoints by policy, also when it is stopped, and the final model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hone.core.errors import CheckpointError
from hone.policies.fingerprint import fingerprint
from hone.training import checkpoint, disk, lost
from hone.training.guards.readings import Past
from hone.training.resume import identity
from hone.training.retention import kept
from hone.training.stopping import Interrupted
from hone.training.versions import versions

if TYPE_CHECKING:
    from hone.training.session import Session, Whole


def save_checkpoint(s: Session) -> bool:
    """Write a checkpoint of this moment, then delete those that the recipe does not keep. True if it is on disk.

    Where the disk refuses, what was written of it is deleted, nothing else is, and an alarm is raised: the run goes
    on, and the next checkpoint tries again.
    """
    r = s.recipe
    try:
        s.folder.flush()  # a checkpoint counts what its logs hold
        state = checkpoint.TrainerState(
            step=s.step,
            version=s.policy.version,
            ledger=s.ledger.state(),
            stages={"curriculum": s.curriculum_state, "guards": s.guards.past.state()},
            lengths=s.folder.sizes(),
            recipe=r.dump(),
            digest=identity(r),
            versions=dict(versions()),
            seconds=s.elapsed,
            evaluated=s.evaluated,
            best=vars(s.best) if s.best is not None else None,
            memory=s.memory_left(),
            fingerprint=fingerprint(s.policy),
        )
        checkpoint.save(s.folder.checkpoints, s.policy, s.optimizer, state)
    except Exception as error:
        if not (said := disk.refusal(error)):
            raise
        s.best = s.best_written  # the step of a better one has no checkpoint
        _alarm(s, said)
        return False
    s.written, s.best_written = (s.step, s.evaluated), s.best
    steps = checkpoint.steps(s.folder.checkpoints)
    try:
        checkpoint.drop(s.folder.checkpoints, kept(steps, s.step, r.checkpoint, s.best))
    except OSError as error:
        s.progress.note(f"ALARM: old checkpoints could not be deleted: {error}")
    return True


def _alarm(s: Session, said: str) -> None:
    """A note and a line of events.jsonl: the checkpoint of this step is not there."""
    s.folder.append("events.jsonl", [{"step": s.step, "event": "checkpoint_refused", "detail": said}])
    steps = checkpoint.steps(s.folder.checkpoints)
    last = f"the last one, of step {steps[-1]}, stays" if steps else "there is none yet"
    s.progress.note(
        f"ALARM: the checkpoint of step {s.step} could not be written ({said}): {last}. Training goes on; make room "
        f"in {s.folder.path}"
    )


def finish(s: Session) -> None:
    """The last checkpoint and the final model. Raises CheckpointError that says which of the two is not on disk."""
    saved = s.written == (s.step, s.evaluated) or save_checkpoint(s)
    with (
        disk.named(f"{s.folder.final}, the trained model", _words(s)),
        disk.whole_folder(s.folder.final) as beside,
    ):
        s.policy.save(beside)
    if not saved:
        raise CheckpointError(
            f"The last checkpoint of {s.folder.path} could not be written; the trained model is in "
            f"{s.folder.final.name}/.",
            _words(s),
        )


def _words(s: Session) -> str:
    steps = checkpoint.steps(s.folder.checkpoints)
    again = f"go on from step {steps[-1]} with `--resume`" if steps else "run it again"
    return f"Make room on the disk, then {again}."


@contextmanager
def leaving_a_checkpoint(s: Session) -> Iterator[None]:
    """Where the block is stopped by a signal, leave a checkpoint of the last whole step; end what runs ahead."""
    try:
        yield
    except Interrupted as stop:
        _end_ahead(s)
        if not stop.at_once:
            _give_up_step(s)
            if s.written != (s.step, s.evaluated):
                save_checkpoint(s)
        raise
    finally:
        _end_ahead(s)


def _end_ahead(s: Session) -> None:
    if s.ahead is not None:
        s.ahead.stop()


def go_back(s: Session, whole: Whole) -> None:
    """Bring ledger, curriculum and guards back to where the step began; the weights have not moved since."""
    s.ledger, s.curriculum_state = s.ledger.from_state(whole.ledger), whole.curriculum_state
    s.guards.past = Past(**whole.guards)


def _give_up_step(s: Session) -> None:
    """Bring ledger and curriculum back to the end of the last step; the weights have not moved since."""
    if s.working_on == s.step or s.whole is None:
        return
    whole = s.whole
    now, then = s.ledger.state(), whole.ledger
    spent = {key: now[key] - then[key] for key in ("rollouts", "sampled_tokens")}
    go_back(s, whole)
    try:
        lost.record_step(s.folder, s.working_on, spent, time.perf_counter() - whole.at)
    except OSError as error:
        s.progress.note(f"what was lost of step {s.working_on} could not be recorded: {error}")
    lost.charge(s.folder, s.ledger)
    s.working_on = s.step
