"""A judge that begins while the engine still samples: verdicts of finished rollouts do not wait for the others."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from hone.core.problem import Problem, Verdict
from hone.core.stages import Judge
from hone.core.trajectory import Trajectory

BREATH = 0.02  # seconds of judging after which episodes, and interrupts, have their turn


class EarlyJudge:
    """Wraps an independent `judge` for one step: every rollout is judged once, early or when it is asked for.

    `begin` is told of rollouts as their episodes end. They are judged in that order in the event loop of the caller:
    one by one where that takes the caller's own time, all that wait at once where the judge works aside. `score` then
    answers from what there is and has the rest judged, so its verdicts and their order are those of `judge`.
    """

    independent = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.aside = judge.aside
        self._queue: deque[Trajectory] = deque()
        self._told: list[Trajectory] = []  # keeps problems alive, so that no identity is used twice
        self._reached: dict[tuple[int, str], deque[Verdict]] = {}  # by the problem's identity and the text
        self._work: asyncio.Task[None] | None = None
        self._pausing = False
        self._breath = 0.0
        self.seconds = 0.0  # spent on early verdicts

    def begin(self, trajectories: Sequence[Trajectory]) -> None:
        """Judge those without a verdict as soon as nothing else is to be done in the running event loop."""
        waiting = [t for t in trajectories if t.verdict is None]
        self._told.extend(waiting)
        self._queue.extend(waiting)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._judge_queue())

    async def pause(self) -> None:
        """Wait for the verdict in flight and leave the rest to `score`. Raises what judging raised."""
        self._pausing = True
        if self._work is not None:
            await self._work

    async def settle(
        self, trajectories: Sequence[Trajectory], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """The verdicts of all that it was told of since it last settled, now; more may begin afterwards."""
        await self.pause()
        self._pausing = False
        self._queue.clear()
        return await self.score(
            [t.problem for t in trajectories], [t.text for t in trajectories], trainer_state
        )

    async def _judge_queue(self) -> None:
        start = self._breath = time.perf_counter()
        try:
            while self._queue and not self._pausing:
                count = len(self._queue) if self.aside else 1
                taken = [self._queue.popleft() for _ in range(count)]
                verdicts = await self._some([t.problem for t in taken], [t.text for t in taken], {})
                for t, verdict in zip(taken, verdicts, strict=True):
                    self._reached.setdefault((id(t.problem), t.text), deque()).append(verdict)
        finally:
            self.seconds += time.perf_counter() - start

    async def _some(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        verdicts = await self._judge.score(problems, texts, trainer_state)
        if time.perf_counter() - self._breath > BREATH:
            await asyncio.sleep(0)
            self._breath = time.perf_counter()
        return verdicts

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each text, in order."""
        self._breath = time.perf_counter()
        found: dict[int, Verdict] = {}
        for i, (problem, text) in enumerate(zip(problems, texts, strict=True)):
            if early := self._reached.get((id(problem), text)):
                found[i] = early.popleft()
        left = [i for i in range(len(texts)) if i not in found]
        size = max(1, len(left)) if self.aside else 1
        for start in range(0, len(left), size):
            some = left[start : start + size]
            verdicts = await self._some([problems[i] for i in some], [texts[i] for i in some], trainer_state)
            found |= dict(zip(some, verdicts, strict=True))
        return [found[i] for i in range(len(texts))]

    def same(self, a: Any, b: Any) -> bool:
        """The judge's equality."""
        return self._judge.same(a, b)

    def key(self, answer: Any) -> str:
        """The judge's key."""
        return self._judge.key(answer)
