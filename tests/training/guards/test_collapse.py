"""The guard against answers that leave their prompts."""

from __future__ import annotations

from hone.core.guards import CollapseGuard, Guards
from hone.training.guards.checks import Setting
from hone.training.guards.collapse import collapsed, remember
from hone.training.guards.readings import Past, Readings
from hone.training.guards.watch import Watch


def says(looks: list[dict], past: Past | None = None, **settings) -> list[str | None]:
    guard, past = CollapseGuard.model_validate(settings), past or Past()
    out = []
    for look in looks:
        now = Readings(**look)
        out.append(collapsed(now, past, guard, None))
        remember(past, now, guard)
    return out


def test_runs_without_votes_are_left_alone():
    assert says([{"entropy": 1.0, "length": 3.0}] * 50) == [None] * 50


def test_one_answer_for_most_prompts():
    found = says([{"mode_share": 0.5}, {"mode_share": 0.51}])
    assert found[0] is None
    assert "one answer has 51%" in str(found[1])


def test_information_that_falls_is_found_after_a_whole_window():
    steady = [{"information": 1.0}] * 4
    assert says([*steady, {"information": 0.85}, {"information": 0.85}], window=2)[4:] == [
        None,
        "answers tell 0.85 nats of their prompts in the last 2 steps, below 0.9 of the 1 that they told",
    ]
    assert says([*steady, *[{"information": 0.95}] * 4], window=2) == [None] * 8
    assert says([{"information": 0.5}, *steady], window=2) == [None] * 5  # it grew


def test_majorities_that_grow_for_nothing():
    def labelled(*rows: list[float]) -> str | None:
        return says([{}], Past(labelled=[list(row) for row in rows]), evaluations=2)[0]

    assert labelled([0.5, 0.6], [0.4, 0.7]) is None  # too few evaluations
    assert "from 60% to 90%" in str(labelled([0.5, 0.6], [0.4, 0.7], [0.5, 0.9]))
    assert labelled([0.5, 0.6], [0.4, 0.7], [0.51, 0.9]) is None  # it improved
    assert labelled([0.5, 0.6], [0.4, 0.7], [0.5, 0.64]) is None  # majorities did not grow
    assert (
        labelled([0.3, 0.6], [0.5, 0.7], [0.4, 0.75], [0.4, 0.75]) is None
    )  # less than the rise since the best


def test_the_watch_remembers_evaluations_and_keeps_it_all_as_json():
    made = Watch(Guards.model_validate({"collapse": {"evaluations": 1, "action": "stop"}}), Setting(100, 1.0))
    made.evaluated(0.5)  # before the first step there is no majority to go with it
    now = Readings(entropy=1.0, repetition=0.0, constant=0.0, truncated=0.0, length=5.0, reward=0.5)
    for share, rate in ((0.4, 0.5), (0.8, 0.3)):
        assert made.look_at_rollouts(Readings(**{**vars(now), "majority": share})) == []
        made.evaluated(rate)
    assert Past(**made.past.state()) == made.past
    (trip,) = made.look_at_rollouts(now)
    assert (trip.finding.guard, trip.action) == ("collapse", "stop")
