"""Report: one self-contained, script-free HTML page about a run, several runs or a comparison; and its pictures."""

from __future__ import annotations

from hone.report.build import build, build_comparison, build_fit, build_sweep, figures
from hone.report.picture import story_figure
from hone.report.study import study_figure, study_section
from hone.report.sweep_picture import sweep_figure

__all__ = [
    "build",
    "build_comparison",
    "build_fit",
    "build_sweep",
    "figures",
    "story_figure",
    "study_figure",
    "study_section",
    "sweep_figure",
]
