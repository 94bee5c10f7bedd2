"""A progress that keeps what a run says."""

from __future__ import annotations

from hone.training.progress import Quiet


class Notes(Quiet):
    def __init__(self):
        self.texts: list[str] = []

    def note(self, text):
        self.texts.append(text)
