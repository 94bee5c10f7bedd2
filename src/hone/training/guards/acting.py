"""An update under guard: what a tripped guard does to a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hone.core.batch import Batch
from hone.core.errors import GuardError
from hone.training import checkpoint
from hone.training.guards import bundle
from hone.training.guards.readings import Past, Readings
from hone.training.guards.rollouts import rollout_readings
from hone.training.guards.watch import Trip
from hone.training.saving import go_back, save_checkpoint
from hone.training.tally import Tally
from hone.training.update import update

if TYPE_CHECKING:
    from hone.training.session import Session


def guarded_update(s: Session, batch: Batch) -> Tally:
    """Make the updates of a judged and credited batch, except those that a guard skips.

    Raises GuardError where a guard stops the run; then a bundle and a checkpoint of the state before the step are
    written, as far as they can be.
    """
    watch = s.guards

    def allow(now: Readings, chosen: Sequence[int]) -> bool:
        before = watch.past.state()
        goes_on = _act(s, watch.look_at_update(now), now, before, batch, chosen)
        if goes_on:
            watch.stepped(now.grad_norm)
        return goes_on

    if s.method.episode.samples:
        before, now = watch.past.state(), rollout_readings(batch, watch.settings.repetition.tail)
        everything = range(len(batch.trajectories))
        if not _act(s, watch.look_at_rollouts(now), now, before, batch, everything):
            return Tally()
    return update(
        s.policy, s.optimizer, s.rate, s.method, batch, s.update_settings, s.budget, s.ledger, s.stop.check, allow
    )  # fmt: skip


def _act(
    s: Session, trips: Sequence[Trip], now: Readings, before: dict, batch: Batch, chosen: Sequence[int]
) -> bool:
    """Do what the gravest of `trips` asks for, and record them all. Returns whether the update is made."""
    skips = bool(trips) and trips[0].action in ("skip", "stop")
    ends = skips and (s.guards.skip() or trips[0].action == "stop")
    for trip in trips:
        action = "stop" if ends and trip is trips[0] else trip.action
        kept = None
        if trip.first:
            kept = bundle.keep(s, bundle.Evidence(trip.finding, now, Past(**before), batch, tuple(chosen)))
        if trip.first or action != "warn":
            _record(s, trip, action, kept)
    if ends:
        _stop(s, trips[0])
    return not skips


def _record(s: Session, trip: Trip, action: str, kept: str | None) -> None:
    """A line of events.jsonl and a note."""
    event = {"step": s.working_on, "event": "guard", "guard": trip.finding.guard, "action": action}
    s.record({**event, "detail": trip.finding.says, "bundle": kept})
    done = {"warn": "", "skip": "; this update is skipped", "stop": "; the run stops"}[action]
    look = f"; `hone replay {s.folder.path / kept}` looks again" if kept else ""
    s.progress.note(f"guard `{trip.finding.guard}`, step {s.working_on}: {trip.finding.says}{done}{look}")


def _stop(s: Session, trip: Trip) -> None:
    """Save the state before the step, as far as it is still there, and raise GuardError."""
    name = trip.finding.guard
    too_many = ""
    if trip.action != "stop":
        too_many = f" {s.guards.past.skips} updates in a row were skipped (`guards.max_skips`)."
    raise GuardError(
        f"Guard `{name}` stopped the run in step {s.working_on}: {trip.finding.says}.{too_many} {_save_before(s)}",
        f"Look at its bundle with `hone replay`, mend the cause, and resume; `guards.{name}.action` says what it does.",
    )


def _save_before(s: Session) -> str:
    """Write a checkpoint of the moment when the step began; returns what there is to resume from."""
    whole = s.whole
    assert whole is not None  # a step has begun
    if s.step == 0:
        return "It was the first step, so there is nothing to resume: start anew."
    if s.step in checkpoint.steps(s.folder.checkpoints):
        return f"The checkpoint of step {s.step} is from just before it."
    if s.policy.version != whole.version:
        return (
            "Earlier updates of the same step have moved the weights, so no checkpoint is from just before it; the "
            "newest one stands."
        )
    go_back(s, whole)
    if not save_checkpoint(s):
        return "The checkpoint of the step before could not be written."
    return f"A checkpoint of step {s.step}, from just before it, was written."
