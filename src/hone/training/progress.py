"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Progress(Protocol):
    """Receives a run's events as they happen; must not raise."""

    def note(self, text: str) -> None:
        """Something a person should know."""
        ...

    def step(self, line: Mapping[str, Any], of: int) -> None:
        """A finished step's line of metrics.jsonl."""
        ...

    def evaluation(self, line: Mapping[str, Any]) -> None:
        """A finished line of eval.jsonl."""
        ...


class Quiet:
    """Tells nothing: the Python API's default, whose caller reads the run folder."""

    def note(self, text: str) -> None:
        """Ignored."""

    def step(self, line: Mapping[str, Any], of: int) -> None:
        """Ignored."""

    def evaluation(self, line: Mapping[str, Any]) -> None:
        """Ignored."""
