"""When a run is dominated: three checks in a row, not before half of the budget, and never while it catches up."""

from __future__ import annotations

import numpy as np
import pytest

from hone.training.domination import dominated, reading
from hone.training.readings import Readings


def run(rates, problems=50, judged=16):
    """A run of one step for each rate, 1 compute a step, whose problems all have that pass rate."""
    steps = len(rates)
    after = np.arange(1.0, steps + 1)
    right = [np.full(problems, round(judged * rate)) for rate in rates]
    return Readings(np.arange(1, steps + 1), after - 1, after, right, [np.full(problems, judged)] * steps)


def falling(steps):
    return run([0.25] * steps)


LEADER = run([0.75] * 16)


def test_a_run_far_behind_is_stopped_from_half_of_its_budget_on():
    assert dominated(falling(9), {"best": LEADER}, 16) is None  # three checks from 8/16 on end at 10/16
    found = dominated(falling(10), {"best": LEADER, "worse": run([0.3] * 16)}, 16)
    assert (found.compute, found.leader) == (10, "best")
    assert (found.own.value, found.best.value) == (0.25, 0.75)
    assert found.words() == (
        "at 10 spent its pass rate was 0.250 [0.250, 0.250], that of best 0.750 [0.750, 0.750]"
    )


def test_it_goes_on_while_it_catches_up_or_is_not_clearly_behind():
    catching = run([0.0] * 6 + [0.25, 0.25, 0.5, 0.5])
    assert dominated(catching, {"best": LEADER}, 16) is None
    few = run([0.5] * 10, problems=2, judged=2)
    assert dominated(few, {"best": run([1.0] * 16, problems=2, judged=2)}, 16) is None
    assert dominated(run([0.8] * 10), {"best": LEADER}, 16) is None


def test_rivals_are_read_at_the_same_compute():
    late = run([0.0] * 12 + [1.0] * 4)
    assert dominated(falling(12), {"late": late}, 16) is None
    assert dominated(falling(12), {"short": run([0.75] * 11)}, 16) is None  # it has not got that far
    assert dominated(falling(12), {}, 16) is None


def test_a_run_that_has_spent_its_budget_is_finished():
    assert dominated(falling(15), {"best": LEADER}, 16) is not None
    assert dominated(falling(16), {"best": LEADER}, 16) is None


def test_groups_without_a_verdict_are_left_out_of_a_reading():
    found = Readings(np.array([1]), np.array([0.0]), np.array([1.0]), [np.array([1, 0])], [np.array([2, 0])])
    assert reading(found, 0, 1).value == pytest.approx(0.5)
    assert reading(found, 1, 2) is None
