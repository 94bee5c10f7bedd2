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

    `begin` is told of rollouts as their episodes end. They are judged one by one in that order, in the thread and the
    event loop of the caller, for reward functions of users may need the main thread. `score` then answers from what
    there is and has the rest judged, so its verdicts and their order are those of `judge`.
    """

    independent = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._queue: deque[Trajectory] = deque()
        self._told: list[Trajectory] = []  # keeps problems alive, so that no identity is used twice
        self._reached: dict[tuple[int, str], deque[Verdict]] = {}  # by the problem's identity and the text
        self._work: asyncio.Task[None] | None = None
        self._pausing = False
        self._breath = 0.0
        self.seconds = 0.0  # spent on early verdicts

    def begin(self, trajectories: Sequence[Trajectory]) -> None:
        """Judge these as soon as nothing else is to be done in the running event loop."""
        self._told.extend(trajectories)
        self._queue.extend(trajectories)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._judge_queue())

    async def pause(self) -> None:
        """Wait for the verdict in flight and leave the rest to `score`. Raises what judging raised."""
        self._pausing = True
        if self._work is not None:
            await self._work

    async def _judge_queue(self) -> None:
        start = self._breath = time.perf_counter()
        try:
            while self._queue and not self._pausing:
                t = self._queue.popleft()
                verdict = await self._one(t.problem, t.text, {})
                self._reached.setdefault((id(t.problem), t.text), deque()).append(verdict)
        finally:
            self.seconds += time.perf_counter() - start

    async def _one(self, problem: Problem, text: str, trainer_state: Mapping[str, Any]) -> Verdict:
        (verdict,) = await self._judge.score([problem], [text], trainer_state)
        if time.perf_counter() - self._breath > BREATH:
            await asyncio.sleep(0)
            self._breath = time.perf_counter()
        return verdict

    async def score(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """One verdict for each text, in order."""
        self._queue.clear()
        self._breath = time.perf_counter()
        verdicts = []
        for problem, text in zip(problems, texts, strict=True):
            early = self._reached.get((id(problem), text))
            verdicts.append(early.popleft() if early else await self._one(problem, text, trainer_state))
        return verdicts

    def same(self, a: Any, b: Any) -> bool:
        """The judge's equality."""
        return self._judge.same(a, b)

    def key(self, answer: Any) -> str:
        """The judge's key."""
        return self._judge.key(answer)
