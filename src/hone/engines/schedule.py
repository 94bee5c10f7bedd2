"""A schedule: who takes part in the barriers of one engine, or of several whose models answer the same episodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Serves(Protocol):
    """What a schedule reads of an engine."""

    @property
    def waiting(self) -> int:
        """Requests that wait to be served."""
        ...

    @property
    def serving(self) -> bool:
        """Whether a call is running."""
        ...

    def open(self) -> None:
        """Serve all that waits."""
        ...

    def abandon(self) -> None:
        """Stop the call that is running: nobody waits for it any more."""
        ...


@dataclass
class Schedule:
    """`live` episodes, each of which waits at one of `engines` or at none."""

    live: int = 0
    engines: list[Serves] = field(default_factory=list)

    def advance(self) -> None:
        """Let every engine serve what waits at it, if no call is running and every live episode waits."""
        if any(engine.serving for engine in self.engines):
            return
        waiting = sum(engine.waiting for engine in self.engines)
        if not waiting or waiting < self.live:
            return
        for engine in self.engines:
            if engine.waiting:
                engine.open()
