"""The closing summary: changes are judged by the interval of the paired difference."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hone.cli.summary import abstractions, changes, cost, sentence, show
from hone.evals import pass_at_k


def line(rates, step=0, samples=8, **more):
    def estimate(k):
        right = np.rint(np.array(rates) * samples).astype(int)
        return {"value": float(pass_at_k(samples, right, k).mean()), "low": 0.0, "high": 1.0}

    return {
        "step": step,
        "task": "maze",
        "split": "test",
        "problems": len(rates),
        "samples": samples,
        "rates": list(rates),
        "pass@1": estimate(1),
        "pass@8": estimate(8),
        **more,
    }


LOW = [0.0, 0.125, 0.25, 0.25, 0.5, 0.125] * 6
HIGH = [rate + 0.5 for rate in LOW]
SUMMARY = {"rollouts": 640, "sampled_tokens": 5120, "updates": 10, "seconds": 61.0, "eval_tokens": 900}


def test_a_gain_is_stated_with_its_interval():
    found = changes(line(LOW), line(HIGH, 9))
    assert [change.metric for change in found] == ["pass@1", "pass@8"]
    assert found[0].difference.value == pytest.approx(0.5)
    assert found[1].difference.value == pytest.approx(found[1].after.value - found[1].before.value)
    text = sentence(found[0], line(HIGH, 9))
    assert text.startswith("Better: pass@1 on 36 held-out problems of maze: 20.8% → 70.8% (+50.0 points")


def test_a_loss_and_a_difference_within_the_noise():
    assert sentence(changes(line(HIGH), line(LOW, 9))[0], line(LOW)).startswith("Worse: ")
    mixed = [rate + (0.25 if i % 2 else -0.25) for i, rate in enumerate(HIGH)]
    assert sentence(changes(line(HIGH), line(mixed, 9))[0], line(mixed)).startswith("No clear change: ")


@pytest.mark.parametrize(
    "after", [line(HIGH, 9, task="other"), line(HIGH, 9, not_ok=3), line([*LOW[:-1], 1.0], 9)]
)
def test_no_difference_is_stated_that_was_not_measured(after):
    change = changes(line(LOW), after)[0]
    assert change.difference is None
    assert "points" not in sentence(change, after)


def test_what_is_shown(capsys, tmp_path):
    show(tmp_path, [line(LOW), line(HIGH, 9)], SUMMARY)
    text = capsys.readouterr().out
    assert "Better: pass@1" in text
    assert "+50.0 [+50.0, +50.0]" in text
    assert "640 rollouts, 5,120 sampled tokens, 10 updates, 1 min 1 s" in text
    assert str(tmp_path / "final") in text
    assert "ran out" not in text
    show(tmp_path, [line(HIGH, 9)], SUMMARY | {"shortages": 2})
    text = capsys.readouterr().out
    assert "After training, on 36 held-out problems of maze: pass@1 70.8%" in text
    assert "memory   ran out 2 times" in text
    assert "lost" not in text
    show(
        tmp_path,
        [line(HIGH, 9)],
        SUMMARY | {"redone_rollouts": 128, "redone_tokens": 2000, "redone_seconds": 61.0},
    )
    assert "lost     128 rollouts and 2,000 sampled tokens, 1 min 1 s of work" in capsys.readouterr().out
    assert "demonstrations" in cost(SUMMARY | {"sampled_tokens": 0})


def test_guards_that_tripped_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    events = [("nan", "skip"), ("nan", "skip"), ("length", "warn")]
    lines = [{"step": i, "event": "guard", "guard": g, "action": a} for i, (g, a) in enumerate(events)]
    text = "".join(json.dumps(each) + "\n" for each in [*lines, {"step": 9, "event": "out_of_memory"}])
    (tmp_path / "events.jsonl").write_text(text)
    show(tmp_path, [line(HIGH, 9)], SUMMARY)
    assert "guards   tripped (length 1, nan 2)" in capsys.readouterr().out


def test_what_abstractions_were_worth_is_told_with_its_oracle():
    success = {
        name: {"value": v, "low": 0.0, "high": 1.0} for name, v in (("w/o", 0.2), ("avg", 0.3), ("best", 0.6))
    }
    words = abstractions({"success": success, "abstractions": 4})
    assert words == (
        "pass@1 with an abstraction 30.0%, with none 20.0%, with the best of 4 60.0% (an oracle's choice)"
    )
