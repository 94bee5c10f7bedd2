"""One call of the native engine on a GPU: the host looks at the batch once a chunk, and refills slots only then.

Admission follows the order of the requests, as in `decoding`: which rollouts share a step depends on their lengths
and never on timing.
"""

from __future__ import annotations

import numpy as np

from hone.engines.decoding import Look, Work
from hone.engines.native_model import NativeModel
from hone.engines.static_batch import StaticBatch
from hone.engines.stops import Stops


class StaticDecoding:
    """The live rollouts of one call. Row i of the batch is rollout `rollouts[i]` in slot `slots[i]`."""

    def __init__(
        self,
        model: NativeModel,
        stops: Stops,
        batch: StaticBatch,
        work: Work,
        slots: int,
        chunk: int,
        look: Look,
    ) -> None:
        self._model, self._stops, self._batch, self._work = model, stops, batch, work
        self._chunk, self._look = chunk, look
        self._admitted = 0  # rollouts that have had a slot
        self._rollouts = np.empty(0, np.int64)
        self._slots = np.arange(slots)

    def run(self) -> None:
        """Sample every rollout to its end. Raises EngineError if logits are not finite."""
        work, batch = self._work, self._batch
        batch.prepare(work, len(self._slots))
        self._rollouts = np.full(len(self._slots), -1)
        self._replace(np.full(len(self._slots), True))
        while len(self._rollouts):
            start = work.lengths[self._rollouts]
            steps = int(min(self._chunk, (work.limits[self._rollouts] - start).max()))
            batch.advance(steps, int(start.max()) + steps)
            ended = work.record(self._rollouts, *batch.read(self._slots, start, steps), self._stops)
            self._look(self._rollouts[ended])
            if ended.any():
                self._replace(ended)

    def _replace(self, ended: np.ndarray) -> None:
        """Give the slots of ended rows to the next waiting rollouts, and drop the rows that none is left for."""
        work, batch = self._work, self._batch
        free = np.flatnonzero(ended)[: len(work.prefixes) - self._admitted]
        fresh = np.arange(self._admitted, self._admitted + len(free))
        self._rollouts[ended] = -1
        for row, rollout in zip(free, fresh):
            if work.prefixes[rollout] not in batch.pool:
                live = {work.prefixes[i].tobytes() for i in self._rollouts if i >= 0}
                buckets = work.waiting_prefixes(int(rollout), batch.pool)
                batch.pool.add({self._model.prefill(bucket): bucket for bucket in buckets}, live)
            self._rollouts[row] = rollout
        self._admitted += len(free)
        if len(free):
            batch.admit(self._slots[free], fresh, work)
        kept = self._rollouts >= 0
        self._rollouts, self._slots = self._rollouts[kept], self._slots[kept]
        if len(self._rollouts):
            batch.arrange(self._slots, [work.prefixes[i] for i in self._rollouts])
