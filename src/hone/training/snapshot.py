"""An engine that samples from a copy of the weights, so that they may be trained while it does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import chain
from typing import Any

import torch

from hone.core.sampling import Completion, SampleRequest
from hone.engines import choose
from hone.policies.token_policy import TokenPolicy


class SnapshotEngine:
    """The engine `name` on a copy of `source`, which is brought up to date at `refresh` and at no other time.

    Completions carry the version of the copy. How far it is behind when they are learnt from is for the caller to
    know: any other engine refuses to sample from weights that have changed. `policy` is the copy; it takes as much
    memory as the weights. `note` is what `choose` has to say.
    """

    def __init__(self, source: TokenPolicy, name: str) -> None:
        self._source = source
        self.policy = copy.copy(source)
        self.policy.model = copy.deepcopy(source.model).requires_grad_(False)
        self._engine, self.note = choose(self.policy, name)
        self.name = self._engine.name

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the source's present weights; drop every cached prefix."""
        mine, theirs = self.policy.model, self._source.model
        pairs = (zip(mine.parameters(), theirs.parameters()), zip(mine.buffers(), theirs.buffers()))
        for copied, original in chain(*pairs):
            copied.copy_(original)
        self.policy.version = self._source.version
        self._engine.refresh()

    @property
    def max_slots(self) -> int | None:
        """As of the engine."""
        return self._engine.max_slots

    @max_slots.setter
    def max_slots(self, slots: int | None) -> None:
        self._engine.max_slots = slots

    @property
    def on_shortage(self) -> Callable[[int, int, str], None]:
        """As of the engine."""
        return self._engine.on_shortage

    @on_shortage.setter
    def on_shortage(self, hear: Callable[[int, int, str], None]) -> None:
        self._engine.on_shortage = hear

    def expect(self, live: int) -> None:
        """As of the engine."""
        self._engine.expect(live)

    @property
    def schedule(self) -> Any:
        """As of the engine."""
        return self._engine.schedule

    def share(self, schedule: Any) -> None:
        """As of the engine."""
        self._engine.share(schedule)

    def join(self, count: int) -> None:
        """As of the engine."""
        self._engine.join(count)

    def leave(self) -> None:
        """As of the engine."""
        self._engine.leave()

    async def sample(self, request: SampleRequest) -> list[Completion]:
        """As of the engine."""
        return await self._engine.sample(request)

    async def quiet(self) -> None:
        """As of the engine."""
        await self._engine.quiet()
