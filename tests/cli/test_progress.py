"""Progress: the time left, and how often a line is printed where there is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hone.cli.progress import Pace, RichProgress, evaluation_words, step_words


def step(number: int, tokens: int = 0, seconds: float = 2.0) -> dict[str, float]:
    return {
        "step": number,
        "sampled_tokens": tokens,
        "time/step": seconds,
        "pass_rate": 0.25,
        "length/mean": 7.0,
    }


def evaluation(number: int, seconds: float = 4.0) -> dict[str, object]:
    value = {"value": 0.2, "low": 0.1, "high": 0.3}
    return {
        "step": number,
        "task": "maze",
        "problems": 9,
        "pass@1": value,
        "maj@1": value,
        "time/eval": seconds,
    }


def test_time_left_is_what_the_steps_so_far_took():
    pace = Pace()
    assert pace.left(step(1), 10, now=102.0) == pytest.approx(9 * 2.0)
    assert pace.left(step(2), 10, now=106.0) == pytest.approx(8 * 3.0)
    pace.evaluation = 5.0
    assert pace.left(step(10), 10, now=130.0) == pytest.approx(5.0)


def test_a_resumed_run_counts_its_own_steps():
    pace = Pace()
    assert pace.left(step(51), 100, now=2.0) == pytest.approx(49 * 2.0)
    assert pace.left(step(52), 100, now=4.0) == pytest.approx(48 * 2.0)


def test_a_budget_of_tokens_ends_a_run_before_its_steps():
    pace = Pace(budget=1000)
    assert pace.left(step(1, tokens=100), 10_000, now=2.0) == pytest.approx(9 * 2.0)
    assert pace.share(step(5, tokens=1200), 10_000) == 1.0


def test_a_new_phase_starts_counting_again():
    pace = Pace()
    pace.left(step(10), 10, now=1000.0)
    assert pace.left(step(1), 4, now=1002.0) == pytest.approx(3 * 2.0)


def lines(events, times) -> list[str]:
    file, clock = io.StringIO(), iter(times)
    with RichProgress(Console(file=file, width=200), clock=lambda: next(clock)) as progress:
        for event in events:
            getattr(progress, event[0])(*event[1:])
    return file.getvalue().splitlines()


def test_plain_lines_come_every_few_seconds_and_at_the_end():
    events = [("step", step(n), 6) for n in range(1, 7)]
    shown = lines(events, [0.0, 1.0, 2.0, 6.0, 7.0, 8.0])
    assert [line.split()[1] for line in shown] == ["1/6", "4/6", "6/6"]
    assert shown[0] == "step 1/6  pass rate 25%  length 7.0  10 s left"
    assert shown[-1].endswith("evaluating")


def test_notes_and_evaluations_are_printed_at_once_and_cannot_drive_the_terminal():
    shown = lines([("note", "slow \x1b[31m[model]"), ("evaluation", evaluation(3))], [])
    assert shown == [
        "note: slow [model]",
        "step 3, held-out: pass@1 20.0% [10.0%, 30.0%] (9 problems of maze)",
    ]


def test_a_terminal_shows_a_bar():
    file = io.StringIO()
    with RichProgress(Console(file=file, force_terminal=True, width=120)) as progress:
        progress.step(step(3), 6)
        progress.note("said above the bar")
    assert "3/6" in file.getvalue()
    assert "said above the bar" in file.getvalue()


def test_words_leave_out_what_was_not_measured():
    assert step_words({"step": 1, "loss/supervised": 0.5, "length/mean": 3.0}) == "loss 0.5  length 3.0"
    assert step_words({"step": 1, "pass_rate": 1.0, "status/error": 2, "status/timeout": 1}) == (
        "pass rate 100%  3 verdicts failed"
    )
    assert "maj@1" not in evaluation_words(evaluation(0))
