"""One call of the native engine: rollouts are admitted to slots, sampled in step, and give their slot up when they end.

Admission follows the order of the requests, and slots are refilled at fixed points, so a call is a pure
function of its requests and the engine's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from hone.core.errors import EngineError
from hone.core.noise import uniforms
from hone.core.sampling import SampleRequest, SamplingParams
from hone.engines.attention import PrefixBlock, length_buckets
from hone.engines.cache import PrefixStore
from hone.engines.native_model import NativeModel
from hone.engines.plain_steps import NEW, Steps
from hone.engines.prefix_pool import PrefixPool
from hone.engines.stops import Stops

if TYPE_CHECKING:
    from jaxtyping import Float, Int

# Is told after every chunk which rollouts have ended, and may stop the call by raising.
Look = Callable[[npt.NDArray[np.int64]], None]
PREFILL_TOKENS = 8192  # prefixes that are computed ahead of their admission hold about this many tokens
Prefix = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]  # one number a row


@dataclass(frozen=True)
class Work:
    """The rollouts of one call in admission order. `tokens`, `logprobs`, `lengths` and `stopped` are filled in."""

    prefixes: list[Prefix]  # [R]
    params: list[SamplingParams]  # the distinct sampler settings
    kinds: npt.NDArray[np.int64]  # [R] index into `params`
    limits: npt.NDArray[np.int64]  # [R] max_tokens
    noise: npt.NDArray[np.float64]  # [R, width]
    tokens: npt.NDArray[np.int32]  # [R, width]
    logprobs: npt.NDArray[np.float32]  # [R, width]
    lengths: npt.NDArray[np.int64]  # [R] tokens sampled so far
    stopped: npt.NDArray[np.bool_]  # [R] ended by a stop rule

    @property
    def width(self) -> int:
        """Places for sampled tokens: the largest limit, and what a chunk may run beyond it."""
        return self.tokens.shape[1]

    def record(
        self,
        rollouts: npt.NDArray[np.int64],
        tokens: Int[np.ndarray, "rows steps"],
        logprobs: Float[np.ndarray, "rows steps"],
        stops: Stops,
    ) -> npt.NDArray[np.bool_]:
        """Append a chunk to `rollouts`, cut where each ends. Returns which rows have ended.

        Raises EngineError if logprobs are not finite.
        """
        steps = tokens.shape[1]
        start = self.lengths[rollouts]
        columns = start[:, None] + np.arange(steps)
        self.tokens[rollouts[:, None], columns] = tokens
        self.logprobs[rollouts[:, None], columns] = logprobs
        if np.isnan(logprobs).any():
            raise EngineError(
                "The model's logits are not finite while sampling.",
                "Look for a diverged run: lower `learning_rate`, or start from an earlier checkpoint.",
            )

        def history(row: int, step: int) -> Prefix:
            return self.tokens[rollouts[row], : start[row] + step + 1]

        first = stops.first_end(tokens, [p.stop for p in self.params], self.kinds[rollouts], history)
        reached = start + np.minimum(first + 1, steps)
        limits = self.limits[rollouts]
        stopped: npt.NDArray[np.bool_] = (first < steps) & (reached <= limits)
        self.lengths[rollouts] = np.minimum(reached, limits)
        self.stopped[rollouts] = stopped
        return stopped | (reached >= limits)

    def waiting_prefixes(self, admitted: int, stored: PrefixStore | PrefixPool) -> list[list[Prefix]]:
        """Prefixes to compute next, by similar length: the missing ones of rollout `admitted` and of some after it."""
        missing: dict[bytes, Prefix] = {}
        size = 0
        for prefix in self.prefixes[admitted:]:
            if size >= PREFILL_TOKENS:
                break
            if prefix not in stored and prefix.tobytes() not in missing:
                missing[prefix.tobytes()] = prefix
                size += len(prefix)
        prefixes = list(missing.values())
        return [[prefixes[i] for i in bucket] for bucket in length_buckets([len(p) for p in prefixes])]


def plan_work(requests: Sequence[SampleRequest], chunk: int) -> Work:
    """Lay out the rollouts of `requests`, request after request, with all the noise they may use."""
    params = list(dict.fromkeys(r.params for r in requests))
    counts = [r.n for r in requests]
    total, width = sum(counts), max(p.max_tokens for p in params) + chunk - 1
    return Work(
        prefixes=[np.ascontiguousarray(r.prefix, np.int32) for r in requests for _ in range(r.n)],
        params=params,
        kinds=np.repeat(np.array([params.index(r.params) for r in requests]), counts),
        limits=np.repeat(np.array([r.params.max_tokens for r in requests]), counts),
        noise=uniforms([r.noise.child(j) for r in requests for j in range(r.n)], width),
        tokens=np.zeros((total, width), np.int32),
        logprobs=np.zeros((total, width), np.float32),
        lengths=np.zeros(total, np.int64),
        stopped=np.zeros(total, bool),
    )


class Decoding:
    """The live rollouts of one call, one a row of the batch; rows have no gaps."""

    def __init__(
        self,
        model: NativeModel,
        steps: Steps,
        stops: Stops,
        store: PrefixStore,
        work: Work,
        slots: int,
        chunk: int,
        look: Look,
    ) -> None:
        self._model, self._steps, self._stops = model, steps, stops
        self._store = store
        self._work, self._slots, self._chunk, self._look = work, slots, chunk, look
        self._admitted = 0  # rollouts that have had a slot
        self._rollouts = np.empty(0, np.int64)  # of each row
        self._found: list[tuple[PrefixBlock, int]] = []  # each row's prefix

    def run(self) -> None:
        """Sample every rollout to its end. Raises EngineError if logits are not finite."""
        first = min(self._slots, len(self._work.prefixes))
        hidden = self._admit(np.arange(first), np.full(first, NEW))
        while len(self._rollouts):
            tokens, ended = self._sample(hidden)
            self._look(self._rollouts[ended])
            hidden = self._advance(tokens, ended)

    def _sample(self, hidden: Float[torch.Tensor, "rows width"]) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """Sample a chunk of tokens for every row and record it. Returns the last tokens and which rows have ended."""
        work, rollouts = self._work, self._rollouts
        start = work.lengths[rollouts]
        tokens = np.empty((len(rollouts), self._chunk), np.int64)
        logprobs = np.empty((len(rollouts), self._chunk), np.float32)
        for step in range(self._chunk):
            if step:
                hidden = self._steps.decode(tokens[:, step - 1], start + step - 1)
            tokens[:, step], logprobs[:, step] = self._steps.draw(hidden, work.noise[rollouts, start + step])
        return tokens[:, -1], work.record(rollouts, tokens, logprobs, self._stops)

    def _advance(self, tokens: Rows, ended: npt.NDArray[np.bool_]) -> Float[torch.Tensor, "rows width"]:
        """Give the slots of ended rows to waiting rollouts, close the gaps, and decode the last tokens of the rest.

        A new row is decoded along with the others on a stray token and then overwritten, which keeps shapes
        fixed.
        """
        if not ended.any():
            return self._steps.decode(tokens, self._work.lengths[self._rollouts] - 1)
        free = np.flatnonzero(ended)
        taken, left = np.split(free, [min(len(free), len(self._work.prefixes) - self._admitted)])
        size = len(ended) - len(left)
        order = np.arange(size)
        order[left[left < size]] = size + np.flatnonzero(~ended[size:])
        self._rollouts = self._rollouts[order]
        self._found = [self._found[i] for i in order]
        was = order.copy()
        was[taken] = NEW
        fresh = self._admit(taken, was)
        if len(taken) == size:
            return fresh
        written = self._work.lengths[self._rollouts] - 1
        written[taken] = 0
        hidden = self._steps.decode(tokens[order], written)
        if len(taken):
            hidden[torch.from_numpy(taken).to(hidden.device)] = fresh
        return hidden

    def _admit(
        self, rows: npt.NDArray[np.int64], was: npt.NDArray[np.int64]
    ) -> Float[torch.Tensor, "new width"]:
        """Put the next waiting rollouts into `rows`, and arrange the batch, whose row i has been row `was[i]`.

        Returns the last hidden states of the new rows' prefixes.
        """
        if len(self._rollouts) == 0:
            self._rollouts = np.zeros(len(rows), np.int64)
            self._found = [None] * len(rows)  # type: ignore[list-item]  # every one is filled below
        work, hidden = self._work, []
        for row in rows:
            prefix = work.prefixes[self._admitted]
            if prefix not in self._store:
                self._prefill()
            block, index = self._found[row] = self._store[prefix]
            hidden.append(block.hidden[index])
            self._rollouts[row] = self._admitted
            self._admitted += 1
        if len(self._rollouts):
            self._steps.arrange(self._found, work.kinds[self._rollouts], was)
        return torch.stack(hidden) if hidden else torch.empty(0)

    def _prefill(self) -> None:
        """Compute the prefixes of the next waiting rollouts that are not stored, the very next one among them."""
        buckets = self._work.waiting_prefixes(self._admitted, self._store)
        live = {found[0] for found in self._found if found is not None}
        self._store.add({self._model.prefill(bucket): bucket for bucket in buckets}, live)
