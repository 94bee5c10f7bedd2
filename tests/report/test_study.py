"""The section and the picture of a study come from its file of results."""

from __future__ import annotations

from hone.report import study_figure, study_section

RESULTS = {
    "title": "A toy",
    "scale": "tabular",
    "budget": "Nothing.",
    "missing": ["new/3", "new/4"],
    "claims": {
        "T1": {"statement": "better", "statistic": "new | old", "direction": ">", "margin": 0.5, "seeds": 8,
               "value": 1.0, "low": 0.875, "high": 1.125, "verdict": "holds"},
        "T2": {"statement": "faster", "statistic": "steps", "direction": "<", "margin": 2.0, "seeds": 0,
               "verdict": "not tested"},
    },
    "curves": [
        {"title": f"panel {i}", "x": "steps", "y": "score",
         "series": {"new": {"x": [0, 1], "y": [0.0, 1.0], "low": [0.0, 0.5], "high": [0.5, 1.5]},
                    "old": {"x": [0, 1], "y": [0.0, 0.5]}}}
        for i in range(4)
    ],
    "cells": {"new/0": {"commit": "abc", "seconds": 90.0, "result": {}}, "old/0": {"commit": "abd", "seconds": 30.0}},
}  # fmt: skip


def test_verdicts_limits_and_what_is_missing_are_said():
    text = study_section(RESULTS, "toy.png")
    assert "| T1: better | new \\| old | > 0.5 | 1 [0.875, 1.12] | 8 | **holds** |" in text
    assert "| T2: faster | steps | < 2 | – | 0 | **not tested** |" in text
    assert "2 cells, 2 minutes of one core, at commit abc, abd" in text
    assert "Not run: 2 cells (new × 2)." in text
    assert "![A toy](toy.png)" in text


def test_every_curve_has_its_panel(tmp_path):
    path = study_figure(RESULTS, tmp_path / "toy.svg")
    drawn = path.read_text(encoding="utf-8")
    assert drawn.startswith("<?xml")
    assert len(drawn) > 5000
