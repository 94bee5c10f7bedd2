"""The native engine: continuous batching on the trainer's own weights, shared prefixes computed once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from hone.core.errors import EngineError
from hone.core.sampling import Completion, SampledPolicy, SampleRequest, SamplingParams
from hone.engines.barrier import BarrierEngine
from hone.engines.cache import CACHE_SHARE, PrefixStore, SuffixCache, memory_bytes, resolve_slots
from hone.engines.checks import end_tokens
from hone.engines.decoding import Decoding, Look, Work, plan_work
from hone.engines.native_model import NativeModel, unsupported
from hone.engines.plain_steps import PlainSteps, Steps
from hone.engines.static_batch import StaticBatch
from hone.engines.static_decoding import StaticDecoding
from hone.engines.stops import Stops
from hone.kernels.available import has_triton
from hone.kernels.numba_jit import has_numba

# Tokens sampled between two looks at what has ended: each look makes a GPU wait.
CHUNK = {"cpu": 1, "cuda": 16}
STATIC_DEVICES = {"cuda"}  # decode by steps of fixed shape, which can be captured and replayed


def has_kernels(model: NativeModel) -> bool:
    """Whether compiled kernels decode `model` on a CPU."""
    silu = model.model.config.hidden_act in ("silu", "swish")
    return silu and model.device.type == "cpu" and model.dtype == torch.float32


def choose_steps(model: NativeModel, cache: SuffixCache, params: Sequence[SamplingParams]) -> Steps:
    """Compiled kernels where they serve and numba is installed, else plain torch."""
    if has_kernels(model) and has_numba():
        from hone.engines.compiled_steps import CompiledSteps

        return CompiledSteps(model, cache, params)
    return PlainSteps(model, cache, params)


class NativeEngine(BarrierEngine):
    """Samples from Llama-family decoders.

    `max_slots` is how many rollouts are decoded at once (default: as many as an eighth of the machine's
    memory holds, at most 512 on a CPU and 1024 on a GPU); `chunk` is how many tokens are sampled between two
    looks at what has ended (default 1 on a CPU, 16 on a GPU). Neither changes what is sampled, but for the
    rounding of the logits. Raises EngineError for a model that it cannot serve.
    """

    name = "native"
    note = ""  # what the user should know of how it samples

    def __init__(self, policy: SampledPolicy, max_slots: int | None = None, chunk: int | None = None) -> None:
        super().__init__(policy, max_slots)
        reason = unsupported(policy.model)
        if reason is not None:
            raise EngineError(
                f"The native engine cannot sample from this model: {reason}.", "Use `engine: transformers`."
            )
        for option, value in (("max_slots", max_slots), ("chunk", chunk)):
            if value is not None and value < 1:
                raise EngineError(f"`{option}` is {value}.", "It must be at least 1.")
        self._model = NativeModel(policy.model, policy.autocast)
        self._model.refresh(policy.version)
        self._chunk = chunk or CHUNK.get(self._model.device.type, 1)
        self._stops = Stops(policy.tokenizer, end_tokens(policy), policy.model.config.vocab_size)
        self._suffixes = SuffixCache()
        self._store = PrefixStore(int(CACHE_SHARE * memory_bytes(self._model.device)))
        self._static = self._make_static()
        if has_kernels(self._model) and not has_numba():
            self.note = "Decoding without compiled kernels, which is slower: install `numba` for them."
        if self._static is not None and not has_triton():
            self.note = (
                "Decoding without Triton's kernels, which is slower: install `hone-rl[kernels]` for them."
            )

    def _make_static(self) -> StaticBatch | None:
        """The batch of static decoding, on devices that decode so. It has no memory yet."""
        device, policy = self._model.device, self.policy
        if device.type not in STATIC_DEVICES:
            return None
        vocabulary, size = policy.model.config.vocab_size, int(CACHE_SHARE * memory_bytes(device))
        return StaticBatch(self._model, end_tokens(policy), vocabulary, size)

    def refresh(self) -> None:
        """Take the policy's present weights; drop every cached prefix."""
        self._model.refresh(self.policy.version)
        self._store.clear()
        if self._static is not None:
            self._static.forget_prefixes()
        self.version = self._model.version

    def drop_caches(self) -> None:
        """Drop prefixes and the cache of rollouts' own tokens; the next call makes them again."""
        self._store.clear()
        self._suffixes = SuffixCache()
        self._model.laid_out, self._model.must_lay_out = None, True
        self._static = self._make_static()

    def run(self, requests: Sequence[SampleRequest]) -> list[list[Completion]]:
        """Serve all requests together, in their order. Raises EngineError if the model's logits are not finite."""
        model, work = self._model, plan_work(requests, self._chunk)
        slot_bytes = 2 * model.num_layers * model.num_kv * work.width * model.head_dim * model.dtype.itemsize
        slots = min(self.max_slots or resolve_slots(model.device, slot_bytes), len(work.prefixes))
        self.slots = slots
        results: list[list[Completion]] = [[] for _ in requests]
        owner = np.repeat(np.arange(len(requests)), [r.n for r in requests])
        left = np.bincount(owner)

        def look(ended: npt.NDArray[np.int64]) -> None:
            self.stop_if_asked()
            for index in owner[ended].tolist():
                left[index] -= 1
                if left[index] == 0:
                    results[index] = [self._completion(work, int(i)) for i in np.flatnonzero(owner == index)]
                    self.finished(index, results[index])

        with torch.inference_mode():
            if self._static is not None:
                StaticDecoding(model, self._stops, self._static, work, slots, self._chunk, look).run()
            else:
                self._decode(work, slots, look)
        return results

    def _decode(self, work: Work, slots: int, look: Look) -> None:
        """Sample by steps whose shapes follow what is live."""
        model = self._model
        model.prepare(max(len(p) for p in work.prefixes) + work.width)
        shape = (model.num_layers, 2, slots, model.num_kv, work.width, model.head_dim)
        self._suffixes.ensure(shape, model.dtype, model.device)
        steps = choose_steps(model, self._suffixes, work.params)
        Decoding(model, steps, self._stops, self._store, work, slots, self._chunk, look).run()

    def _completion(self, work: Work, rollout: int) -> Completion:
        """What a rollout that has ended came to."""
        length = work.lengths[rollout]
        return Completion(
            work.tokens[rollout, :length].copy(),
            work.logprobs[rollout, :length].copy(),
            "stop" if work.stopped[rollout] else "length",
            self.version,
        )
