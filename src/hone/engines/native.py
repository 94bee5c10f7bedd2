"""The native engine: continuous batching over slots, with prefixes computed once and shared by their rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hone.core.errors import EngineError
from hone.core.noise import uniforms
from hone.core.sampling import Completion, SampledPolicy, SampleRequest, SamplingParams
from hone.engines.attention import PrefixBlock, length_buckets, plan_prefixes
from hone.engines.barrier import BarrierEngine
from hone.engines.cache import CACHE_SHARE, PrefixStore, SuffixCache, memory_bytes, resolve_slots
from hone.engines.checks import end_tokens
from hone.engines.native_model import NativeModel, unsupported
from hone.engines.sampler import RowSettings, draw, settings
from hone.engines.stops import Stops

PREFILL_TOKENS = 8192  # prefixes computed together hold about this many tokens
CHUNK = {"cpu": 1, "cuda": 8}  # tokens sampled between two looks at what has ended: each look makes a GPU wait


@dataclass
class Work:
    """The rollouts of one call, in admission order, and what they have sampled so far."""

    prefixes: list[npt.NDArray[np.int32]]  # [R]
    kinds: npt.NDArray[np.int64]  # [R] which of the distinct sampler settings
    limits: npt.NDArray[np.int64]  # [R] max_tokens
    noise: npt.NDArray[np.float64]  # [R, T + chunk]
    tokens: npt.NDArray[np.int32]  # [R, T + chunk]
    logprobs: npt.NDArray[np.float32]  # [R, T + chunk]
    lengths: npt.NDArray[np.int64]  # [R] tokens sampled so far
    stopped: npt.NDArray[np.bool_]  # [R] ended by a stop rule
    params: list[SamplingParams]  # the distinct settings


def plan_work(requests: Sequence[SampleRequest], chunk: int) -> Work:
    """Lay out the rollouts of `requests`, request after request, with all their noise."""
    params = list(dict.fromkeys(r.params for r in requests))
    counts = [r.n for r in requests]
    total, width = sum(counts), max(p.max_tokens for p in params) + chunk
    return Work(
        prefixes=[r.prefix for r in requests for _ in range(r.n)],
        kinds=np.repeat([params.index(r.params) for r in requests], counts),
        limits=np.repeat([r.params.max_tokens for r in requests], counts),
        noise=uniforms([r.noise.child(j) for r in requests for j in range(r.n)], width),
        tokens=np.zeros((total, width), np.int32),
        logprobs=np.zeros((total, width), np.float32),
        lengths=np.zeros(total, np.int64),
        stopped=np.zeros(total, bool),
        params=params,
    )


class NativeEngine(BarrierEngine):
    """Samples from Llama-family decoders on the trainer's own weights.

    `max_slots` is how many rollouts are decoded at once (default: what an eighth of the machine's memory holds, at
    most 512 on a CPU and 1024 on a GPU); `chunk` how many tokens are sampled between two looks at what has ended
    (default 1 on a CPU, 8 on a GPU). Neither changes what is sampled, except by the rounding of the logits.
    Raises EngineError for a model that `unsupported` gives a reason for.
    """

    name = "native"

    def __init__(self, policy: SampledPolicy, max_slots: int | None = None, chunk: int | None = None) -> None:
        super().__init__(policy)
        reason = unsupported(policy.model)
        if reason is not None:
            raise EngineError(f"The native engine cannot sample from this model: {reason}.", "Use `engine: transformers`.")
        if max_slots is not None and max_slots < 1:
            raise EngineError(f"`max_slots` is {max_slots}.", "It must be at least 1.")
        self._model = NativeModel(policy.model)
        self._model.refresh()
        self._max_slots = max_slots
        self._chunk = chunk or CHUNK.get(self._model.device.type, 1)
        self._stops = Stops(policy.tokenizer, end_tokens(policy), policy.model.config.vocab_size)
        self._suffixes = SuffixCache()
        self._store = PrefixStore(int(CACHE_SHARE * memory_bytes(self._model.device)))

    def refresh(self) -> None:
        """Take the policy's present weights; drop every cached prefix."""
        self._model.refresh()
        self._store.clear()
        self.version = self.policy.version

    def run(self, requests: Sequence[SampleRequest]) -> list[list[Completion]]:
        """Serve all requests. Raises EngineError if the model's logits are not finite."""
        work = plan_work(requests, self._chunk)
        with torch.inference_mode():
            self._model.prepare(max(len(r.prefix) for r in requests) + work.tokens.shape[1])
            _Batch(self, work).decode_all()
        completions = iter(
            Completion(tokens[:length].copy(), logprobs[:length].copy(), "stop" if stopped else "length", self.version)
            for tokens, logprobs, length, stopped in zip(work.tokens, work.logprobs, work.lengths, work.stopped)
        )
        return [[next(completions) for _ in range(r.n)] for r in requests]


class _Batch:
    """The live rollouts of one call. Row i of the batch is slot i of the suffix cache; rows are always dense."""

    def __init__(self, engine: NativeEngine, work: Work) -> None:
        self.model, self.store, self.suffixes = engine._model, engine._store, engine._suffixes
        self.stops, self.chunk, self.work = engine._stops, engine._chunk, work
        model, width = self.model, work.tokens.shape[1]
        slot_bytes = 2 * model.num_layers * model.num_kv * width * model.head_dim * model.dtype.itemsize
        slots = engine._max_slots or resolve_slots(model.device, slot_bytes)
        self.slots = min(slots, len(work.prefixes))
        shape = (model.num_layers, 2, self.slots, model.num_kv, width, model.head_dim)
        self.suffixes.ensure(shape, model.dtype, model.device)
        self.table = settings(work.params, model.device)
        self.waiting = 0  # the next rollout to admit
        self.rollouts = np.empty(0, np.int64)  # of each row
        self.blocks: list[PrefixBlock] = []  # of each row
        self.index = np.empty(0, np.int64)  # of each row's prefix in its block

    def decode_all(self) -> None:
        """Sample every rollout to its end."""
        hidden = self._admit(self.model.dtype)
        while len(self.rollouts):
            tokens, survivors, new = self._sample_chunk(hidden)
            hidden = survivors
    # placeholder
