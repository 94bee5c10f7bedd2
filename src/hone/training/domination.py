"""When a run of a sweep is dominated: a rule on what runs have written, the same whenever it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hone.evals import Interval, mean_interval
from hone.training.readings import Readings

CHECKS = 16  # a run is looked at when it has spent 1/16, 2/16, ... of its budget
FIRST = 8  # and no sooner than at half of it: before, a run that learns slowly may still overtake
PATIENCE = 3  # checks in a row
RULE = (
    f"a run is looked at whenever it has spent another {CHECKS}th of its budget, from {FIRST}/{CHECKS} on. At such a "
    f"check its reading is the mean pass rate of the fresh problems of the last two {CHECKS}ths, with a 95% interval "
    "over problems, and the leader is the run of the same seed with the highest reading of the same stretch of "
    f"compute. It is stopped when its interval lay below the leader's at {PATIENCE} checks in a row and the gap did "
    "not shrink from the first of them to the last"
)


@dataclass(frozen=True)
class Dominated:
    """Why a run is stopped: at `compute` its reading was `own`, and that of `leader` was `best`."""

    compute: float
    leader: str
    own: Interval
    best: Interval

    def words(self) -> str:
        """One sentence."""
        own, best = (f"{v.value:.3f} [{v.low:.3f}, {v.high:.3f}]" for v in (self.own, self.best))
        return f"at {self.compute:,.0f} spent its pass rate was {own}, that of {self.leader} {best}"


def dominated(run: Readings, others: Mapping[str, Readings], budget: float) -> Dominated | None:
    """The verdict of RULE on a run with `budget` compute, at the newest check it has reached; None if it goes on.

    `others` are the runs of the same seed by name, finished or not, read in the unit of `run`. A run that has spent its
    budget is never stopped.
    """
    reached = run.after[-1]
    last = int(CHECKS * reached / budget)
    if reached >= budget or last - PATIENCE + 1 < FIRST:
        return None
    found = []
    for check in range(last - PATIENCE + 1, last + 1):
        end = budget * check / CHECKS
        start = budget * (check - 2) / CHECKS
        own = reading(run, start, end)
        theirs = {
            name: reading(other, start, end) for name, other in others.items() if other.after[-1] >= end
        }
        known = {name: value for name, value in theirs.items() if value is not None}
        if own is None or not known:
            return None
        leader = max(known, key=lambda name: (known[name].value, name))
        if own.high >= known[leader].low:
            return None
        found.append(Dominated(end, leader, own, known[leader]))
    gaps = [one.best.value - one.own.value for one in found]
    return found[-1] if gaps[-1] >= gaps[0] else None


def reading(run: Readings, start: float, end: float) -> Interval | None:
    """Mean pass rate of the problems of steps that began within [start, end) of compute; None if there are none."""
    at = np.flatnonzero((run.before >= start) & (run.before < end)).tolist()
    correct = np.concatenate([run.correct[i] for i in at]) if len(at) else np.zeros(0)
    judged = np.concatenate([run.judged[i] for i in at]) if len(at) else np.zeros(0)
    some = judged > 0
    return mean_interval(correct[some] / judged[some]) if some.any() else None
