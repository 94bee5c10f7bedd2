"""The asynchronous front of every engine: requests wait until all live episodes wait, then one call serves them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from hone.core.errors import EngineError
from hone.core.sampling import Completion, SampledPolicy, SampleRequest
from hone.engines.checks import check_request
from hone.kernels.shortage import first_line, out_of_memory, release

Pending = tuple[SampleRequest, "asyncio.Future[list[Completion]]"]


def _noise_order(pending: Pending) -> tuple[object, ...]:
    """Sorts requests by noise path; requests of equal noise by prefix, so that arrival never decides."""
    request = pending[0]
    noise = request.noise
    return noise.path, noise.draw, noise.step, noise.purpose, noise.seed, request.prefix.tobytes()


class BarrierEngine(ABC):
    """Plain asyncio, no threads, no clocks: which requests share a batch depends on the schedule alone.

    An episode has at most one request waiting at a time, and calls `leave()` when it ends, also when it ends
    by an exception (`try: ... finally: engine.leave()`): the others would wait for it for ever.
    """

    name: str

    def __init__(self, policy: SampledPolicy, max_slots: int | None = None) -> None:
        self.policy = policy
        self.version = policy.version
        self.max_slots = max_slots
        self.slots = 0  # rollouts that the latest call sampled at once
        self.on_shortage: Callable[[int, int, str], None] = lambda before, after, detail: None
        self._live = 0
        self._waiting: list[Pending] = []

    def expect(self, live: int) -> None:
        """Open a schedule with `live` concurrent episodes. Raises EngineError while another one is open."""
        if self._live:
            raise EngineError(
                f"A schedule with {self._live} live episodes is still open.",
                "Every episode must call `leave()` when it ends, also by an exception.",
            )
        if live < 0:
            raise EngineError(f"A schedule cannot have {live} episodes.", "Expect 0 or more.")
        self._live = live

    def leave(self) -> None:
        """One episode has ended. Raises EngineError if none is live."""
        if self._live == 0:
            raise EngineError(
                "An episode left that was not expected.", "Call `expect(live)` with all of them."
            )
        self._live -= 1
        self._serve_if_all_wait()

    async def sample(self, request: SampleRequest) -> list[Completion]:
        """`request.n` completions in rollout order, once every live episode waits or has left.

        Raises EngineError at once for a request that cannot be served, so that only its own episode fails; an
        error while sampling reaches every episode that waits.
        """
        if self._live == 0:
            raise EngineError("No schedule is open.", "Call `expect(live)` before episodes sample.")
        check_request(request, self.policy, self.version)
        pending = (request, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        self._serve_if_all_wait()
        try:
            return await pending[1]
        finally:
            # Still there only if the episode was cancelled while it waited.
            self._waiting = [p for p in self._waiting if p is not pending]

    def _serve_if_all_wait(self) -> None:
        self._waiting = [p for p in self._waiting if not p[1].cancelled()]
        if not self._waiting or len(self._waiting) < self._live:
            return
        served = sorted(self._waiting, key=_noise_order)
        self._waiting = []
        try:
            results = self.serve([request for request, _ in served])
        except Exception as error:
            for _, future in served:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), completions in zip(served, results):
            if not future.done():  # an interrupt cancels whoever waits, even while the engine runs
                future.set_result(completions)

    def serve(self, requests: Sequence[SampleRequest]) -> list[list[Completion]]:
        """`run`, begun again with half the slots where memory runs out: noise is no state, so samples are the same.

        Raises EngineError if one rollout alone does not fit.
        """
        while True:
            try:
                return self.run(requests)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                detail = first_line(error)
            self.drop_caches()
            release()
            before = self.slots
            if before <= 1:
                raise EngineError(
                    f"Memory ran out while sampling one rollout alone: {detail}",
                    "Lower `max_completion_length`, set `dtype=bfloat16`, or take a smaller model.",
                )
            self.max_slots = before // 2
            self.on_shortage(before, self.max_slots, detail)

    def drop_caches(self) -> None:  # noqa: B027  # an engine may well hold nothing
        """Let go of what only speeds up the next call."""

    @abstractmethod
    def run(self, requests: Sequence[SampleRequest]) -> list[list[Completion]]:
        """Serve the requests of one barrier together; `[i][j]` is rollout j of request i."""

    @abstractmethod
    def refresh(self) -> None:
        """Take the policy's present weights; drop every cached prefix."""
