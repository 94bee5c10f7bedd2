"""The asynchronous front of every engine: requests wait until all live episodes wait, then one call serves them."""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from hone.core.errors import EngineError
from hone.core.openmp import end_helpers
from hone.core.sampling import Completion, SampledPolicy, SampleRequest
from hone.core.threads import worker
from hone.engines.checks import check_request
from hone.engines.schedule import Schedule
from hone.kernels.shortage import first_line, out_of_memory, release

PATIENCE = 600.0  # seconds for a call to come to its next token, where it compiles or captures first

Pending = tuple[SampleRequest, "asyncio.Future[list[Completion]]"]


def _noise_order(pending: Pending) -> tuple[object, ...]:
    """Sorts requests by noise path; requests of equal noise by prefix, so that arrival never decides."""
    request = pending[0]
    noise = request.noise
    return noise.path, noise.draw, noise.step, noise.purpose, noise.seed, request.prefix.tobytes()


@dataclass(frozen=True)
class _Barrier:
    """The requests of one call with whoever waits for them, in the order in which they are served."""

    served: list[Pending]
    loop: asyncio.AbstractEventLoop
    stop: threading.Event = field(default_factory=threading.Event)


class BarrierEngine(ABC):
    """Which requests share a call depends on the schedule alone, never on arrival time.

    Calls are made in one thread of the engine's own, one after another, while the event loop goes on. What a call has
    finished is handed over at once, so the episodes of a barrier may go on one by one; but the next call is not made
    before this one has ended and every live episode waits again. So threads decide when a result is known, and
    never what is sampled.

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
        self.schedule = Schedule(engines=[self])
        self._waiting: list[Pending] = []
        self._thread = worker(f"hone-{self.name}")
        self._open: _Barrier | None = None  # as the event loop sees it
        self._call: Future[None] = Future()  # of the open barrier
        self._serving: _Barrier | None = None  # as the engine's thread sees it

    def expect(self, live: int) -> None:
        """Open a schedule with `live` concurrent episodes. Raises EngineError while another one is open."""
        if self.schedule.live:
            raise EngineError(
                f"A schedule with {self.schedule.live} live episodes is still open.",
                "Every episode must call `leave()` when it ends, also by an exception.",
            )
        if live < 0:
            raise EngineError(f"A schedule cannot have {live} episodes.", "Expect 0 or more.")
        self.schedule.live = live

    def join(self, count: int) -> None:
        """Take `count` more into the open schedule. Raises EngineError if none is open."""
        if self.schedule.live == 0:
            raise EngineError("No schedule is open.", "Call `expect(live)` before episodes branch.")
        self.schedule.live += count

    def leave(self) -> None:
        """One episode has ended. Raises EngineError if none is live.

        When the last one leaves, nobody waits for a call that is still running (an interrupt has cancelled them all):
        it is stopped at its next token, and waited for.
        """
        if self.schedule.live == 0:
            raise EngineError(
                "An episode left that was not expected.", "Call `expect(live)` with all of them."
            )
        self.schedule.live -= 1
        if self.schedule.live == 0:
            for engine in self.schedule.engines:
                engine.abandon()
        self.schedule.advance()

    def abandon(self) -> None:
        """Stop the call that is running, if one is, and wait for it."""
        if self._open is None:
            return
        self._open.stop.set()
        self._open = None
        if not wait([self._call], PATIENCE).done:
            raise EngineError(
                f"The sampling thread (hone-{self.name} of process {os.getpid()}) did not come to its next token "
                f"within {PATIENCE:g} s.",
                "End the process; the newest checkpoint is whole.",
            )

    async def sample(self, request: SampleRequest) -> list[Completion]:
        """`request.n` completions in rollout order, once every live episode waits or has left.

        Raises EngineError at once for a request that cannot be served, so that only its own episode fails; an
        error while sampling reaches every episode that waits.
        """
        if self.schedule.live == 0:
            raise EngineError("No schedule is open.", "Call `expect(live)` before episodes sample.")
        check_request(request, self.policy, self.version)
        pending = (request, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        self.schedule.advance()
        try:
            return await pending[1]
        finally:
            # Still there only if the episode was cancelled while it waited.
            self._waiting = [p for p in self._waiting if p is not pending]

    async def quiet(self) -> None:
        """Return once no call is running. A live episode that does not wait keeps it so."""
        if self._open is not None:
            await asyncio.shield(asyncio.wrap_future(self._call))

    def share(self, schedule: Schedule) -> None:
        """Take part in another engine's schedule: its episodes ask this engine as well."""
        self.schedule = schedule
        schedule.engines.append(self)

    @property
    def waiting(self) -> int:
        """Requests that wait to be served."""
        self._waiting = [p for p in self._waiting if not p[1].cancelled()]
        return len(self._waiting)

    @property
    def serving(self) -> bool:
        """Whether a call is running, as the event loop sees it."""
        return self._open is not None

    def open(self) -> None:
        """Serve all that waits, in the order of its noise."""
        self._open = _Barrier(sorted(self._waiting, key=_noise_order), self._waiting[0][1].get_loop())
        self._waiting = []
        end_helpers()
        self._call = self._thread.submit(self._serve, self._open)

    def _serve(self, barrier: _Barrier) -> None:
        """Make the call of a barrier, in the engine's thread."""
        results: list[list[Completion]] | BaseException
        self._serving = barrier
        device = self.policy.device
        try:
            # Which GPU is the current one is a thread's own: kernels are launched on it whatever their tensors say.
            with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
                results = self.serve([request for request, _ in barrier.served])
        except BaseException as error:  # whatever it is, whoever waits must hear of it
            results = error
        finally:
            self._serving = None
            end_helpers()
        barrier.loop.call_soon_threadsafe(self._close, barrier, results)

    def _close(self, barrier: _Barrier, results: list[list[Completion]] | BaseException) -> None:
        """A call has ended: hand over what `run` has not handed over itself."""
        if self._open is not barrier:
            return
        self._open = None
        for index, (_, future) in enumerate(barrier.served):
            if isinstance(results, BaseException):
                if not future.done():
                    future.set_exception(results)
            else:
                _answer(future, results[index])
        self.schedule.advance()

    def finished(self, index: int, completions: list[Completion]) -> None:
        """For `run` to call as soon as all rollouts of request `index` have ended: its episode goes on."""
        if self._serving is not None:
            future = self._serving.served[index][1]
            self._serving.loop.call_soon_threadsafe(_answer, future, completions)

    def stop_if_asked(self) -> None:
        """For `run` to call after every token: raises EngineError if nobody waits for the call any more."""
        if self._serving is not None and self._serving.stop.is_set():
            raise EngineError("Sampling was stopped, because nobody waits for it any more.")

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
        """Serve the requests of one barrier together; `[i][j]` is rollout j of request i.

        Runs in the engine's thread, where torch's thread-local modes (gradients, autocast) are at their defaults.
        """

    @abstractmethod
    def refresh(self) -> None:
        """Take the policy's present weights; drop every cached prefix."""


def _answer(future: asyncio.Future[list[Completion]], completions: list[Completion]) -> None:
    if not future.done():  # an interrupt cancels whoever waits, even while the engine runs
        future.set_result(completions)
