"""The reference engine: transformers' own `generate` for any causal language model.

Noise stays a pure function of its key: a logits processor draws each row's token by inverse CDF at the row's
own uniform, as the native engine does, and hands `generate` logits that leave it no other choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from hone.core.errors import EngineError
from hone.core.noise import uniforms
from hone.core.sampling import Completion, SampledPolicy, SampleRequest, SamplingParams
from hone.engines.barrier import BarrierEngine
from hone.engines.checks import end_tokens
from hone.engines.sampler import draw, settings
from hone.engines.stops import Stops

ROWS = 256  # rollouts in one call of `generate`


class _InverseCdf(LogitsProcessor):  # type: ignore[misc]
    """Draws every row's next token, keeps it with its logprob, and leaves it as the only choice."""

    def __init__(self, noise: torch.Tensor, params: SamplingParams) -> None:
        self._noise = noise  # [rows, max_tokens]
        self._settings = settings([params], noise.device)
        rows, length = noise.shape
        self.tokens, self.logprobs = np.zeros((rows, length), np.int32), np.zeros((rows, length), np.float32)
        self.drawn = 0  # tokens a row has

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens, logprobs = draw(scores, self._noise[:, self.drawn], self._settings)
        self.tokens[:, self.drawn] = tokens.cpu().numpy()
        self.logprobs[:, self.drawn] = logprobs.float().cpu().numpy()
        self.drawn += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


class _Ended(StoppingCriteria):  # type: ignore[misc]
    """Marks rows whose last token is an end token or completes a stop string, and tells `look` of them."""

    def __init__(
        self,
        stops: Stops,
        params: SamplingParams,
        processor: _InverseCdf,
        look: Callable[[npt.NDArray[np.int64]], None],
    ) -> None:
        self._stops, self._params, self._processor, self._look = stops, params, processor, look
        self.over = np.zeros(len(processor.tokens), bool)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **options: Any) -> torch.Tensor:
        sampled = self._processor.tokens[:, : self._processor.drawn]
        live = np.flatnonzero(~self.over)
        kinds = np.zeros(len(live), np.int64)
        first = self._stops.first_end(
            sampled[live, -1:], [self._params.stop], kinds, lambda row, step: sampled[live[row]]
        )
        ended = live[first == 0]
        self.over[ended] = True
        self._look(ended)
        return torch.from_numpy(self.over.copy()).to(input_ids.device)


@contextmanager
def _plain(model: Any, settings: GenerationConfig) -> Iterator[None]:
    """The model in evaluation mode and with only `settings`: its own would add penalties and truncations."""
    training, before = model.training, model.generation_config
    model.eval()
    model.generation_config = settings
    try:
        yield
    finally:
        model.generation_config = before
        model.train(training)


class TransformersEngine(BarrierEngine):
    """Samples from any Hugging Face causal language model."""

    name = "transformers"

    def __init__(self, policy: SampledPolicy) -> None:
        super().__init__(policy)
        vocabulary = policy.model.config.get_text_config().vocab_size
        self._stops = Stops(policy.tokenizer, end_tokens(policy), vocabulary)

    def refresh(self) -> None:
        """Take the policy's present weights. Nothing is cached between calls."""
        self.version = self.policy.version

    def run(self, requests: Sequence[SampleRequest]) -> list[list[Completion]]:
        """Serve all requests in their order, those of equal settings together."""
        rollouts = [(r.prefix, r.noise.child(j), r.params) for r in requests for j in range(r.n)]
        by_params: dict[SamplingParams, list[int]] = {}
        for i, (_, _, params) in enumerate(rollouts):
            by_params.setdefault(params, []).append(i)
        owner = np.repeat(np.arange(len(requests)), [r.n for r in requests])
        left = np.bincount(owner)
        done: dict[int, Completion] = {}
        most = self.max_slots or ROWS

        def keep(rollout: int, completion: Completion) -> None:
            done[rollout] = completion
            index = int(owner[rollout])
            left[index] -= 1
            if left[index] == 0:
                self.finished(index, [done[int(i)] for i in np.flatnonzero(owner == index)])

        for params, listed in by_params.items():
            for start in range(0, len(listed), most):
                chosen = listed[start : start + most]
                self.slots = len(chosen)
                noise = uniforms([rollouts[i][1] for i in chosen], params.max_tokens)
                self._generate(chosen, [rollouts[i][0] for i in chosen], noise, params, keep)
        completions = iter(done[i] for i in range(len(rollouts)))
        return [[next(completions) for _ in range(r.n)] for r in requests]

    def _generate(
        self,
        rollouts: list[int],
        prefixes: list[np.ndarray],
        noise: np.ndarray,
        params: SamplingParams,
        keep: Callable[[int, Completion], None],
    ) -> None:
        """One call of `generate` on left-padded prefixes; `keep` gets each rollout when it has ended."""
        rows, longest = len(prefixes), max(len(p) for p in prefixes)
        tokens, mask = np.zeros((rows, longest), np.int64), np.zeros((rows, longest), np.int64)
        for i, prefix in enumerate(prefixes):
            tokens[i, longest - len(prefix) :] = prefix
            mask[i, longest - len(prefix) :] = 1
        model, device = self.policy.model, self.policy.device
        processor = _InverseCdf(torch.from_numpy(noise).to(device), params)

        def keep_rows(ended: npt.NDArray[np.int64], reason: Literal["stop", "length"]) -> None:
            for row in ended.tolist():
                drawn = processor.tokens[row, : processor.drawn].copy()
                logprobs = processor.logprobs[row, : processor.drawn].copy()
                if np.isnan(logprobs).any():
                    raise EngineError(
                        "The model's logits are not finite while sampling.",
                        "Look for a diverged run: lower `learning_rate`, or start from an earlier checkpoint.",
                    )
                keep(rollouts[row], Completion(drawn, logprobs, reason, self.version))

        def look(ended: npt.NDArray[np.int64]) -> None:
            self.stop_if_asked()
            keep_rows(ended, "stop")

        ended = _Ended(self._stops, params, processor, look)
        config = GenerationConfig(max_new_tokens=params.max_tokens, do_sample=False, pad_token_id=0)
        autocast = torch.autocast(device.type, self.policy.autocast, enabled=self.policy.autocast is not None)
        with torch.inference_mode(), autocast, _plain(model, config):
            model.generate(
                torch.from_numpy(tokens).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
                logits_processor=[processor],
                stopping_criteria=[ended],
            )
        keep_rows(np.flatnonzero(~ended.over), "length")
