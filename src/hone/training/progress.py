"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from hone.compute.memory import MemoryPlan
from hone.core.method import Method
from hone.core.recipe import Recipe


class Progress(Protocol):
    """Receives a run's events as they happen; must not raise."""

    def note(self, text: str) -> None:
        """Something a person should know."""
        ...

    def plan(self, recipe: Recipe, method: Method, plan: MemoryPlan) -> None:
        """What is about to run, with nothing left at `auto` that memory decides."""
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

    def plan(self, recipe: Recipe, method: Method, plan: MemoryPlan) -> None:
        """Ignored."""

    def step(self, line: Mapping[str, Any], of: int) -> None:
        """Ignored."""

    def evaluation(self, line: Mapping[str, Any]) -> None:
        """Ignored."""
