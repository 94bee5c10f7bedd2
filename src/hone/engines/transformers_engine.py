"""The reference engine: transformers' own `generate` for any causal language model.

Noise stays a pure function of its key: a logits processor draws each row's token by inverse CDF at the row's
own uniform, as the native engine does, and hands `generate` logits that leave it no other choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
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
        self.tokens: list[torch.Tensor] = []
        self.logprobs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        tokens, logprobs = draw(scores, self._noise[:, len(self.tokens)], self._settings)
        self.tokens.append(tokens)
        self.logprobs.append(logprobs)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


class _Ended(StoppingCriteria):  # type: ignore[misc]
    """Marks rows whose last token is an end token or completes a stop string."""

    def __init__(self, stops: Stops, params: SamplingParams, prompt: int, rows: int) -> None:
        self._stops, self._params, self._prompt = stops, params, prompt
        self.lengths = np.zeros(rows, np.int64)  # tokens with the one that ended the row; 0 while it is live

    def __call__(self, input_ids: torch.Tensor, scores: Any, **options: Any) -> torch.Tensor:
        sampled = input_ids[:, self._prompt :].cpu().numpy()
        live = np.flatnonzero(self.lengths == 0)
        kinds = np.zeros(len(live), np.int64)
        first = self._stops.first_end(
            sampled[live, -1:], [self._params.stop], kinds, lambda row, step: sampled[live[row]]
        )
        self.lengths[live[first == 0]] = sampled.shape[1]
        return torch.from_numpy(self.lengths > 0).to(input_ids.device)


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
        done: dict[int, Completion] = {}
        for params, listed in by_params.items():
            for start in range(0, len(listed), ROWS):
                chosen = listed[start : start + ROWS]
                noise = uniforms([rollouts[i][1] for i in chosen], params.max_tokens)
                done.update(zip(chosen, self._generate([rollouts[i][0] for i in chosen], noise, params)))
        completions = iter(done[i] for i in range(len(rollouts)))
        return [[next(completions) for _ in range(r.n)] for r in requests]

    def _generate(
        self, prefixes: list[np.ndarray], noise: np.ndarray, params: SamplingParams
    ) -> list[Completion]:
        """One call of `generate` on left-padded prefixes."""
        rows, longest = len(prefixes), max(len(p) for p in prefixes)
        tokens, mask = np.zeros((rows, longest), np.int64), np.zeros((rows, longest), np.int64)
        for i, prefix in enumerate(prefixes):
            tokens[i, longest - len(prefix) :] = prefix
            mask[i, longest - len(prefix) :] = 1
        model, device = self.policy.model, self.policy.device
        processor = _InverseCdf(torch.from_numpy(noise).to(device), params)
        ended = _Ended(self._stops, params, longest, rows)
        config = GenerationConfig(max_new_tokens=params.max_tokens, do_sample=False, pad_token_id=0)
        autocast = torch.autocast(device.type, self.policy.autocast, enabled=self.policy.autocast is not None)
        with torch.inference_mode(), autocast, _plain(model, config):
            model.generate(
                torch.from_numpy(tokens).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
                logits_processor=[processor],
                stopping_criteria=[ended],
            )
        sampled = torch.stack(processor.tokens, 1).cpu().numpy().astype(np.int32)
        logprobs = torch.stack(processor.logprobs, 1).float().cpu().numpy()
        lengths = np.where(ended.lengths > 0, ended.lengths, params.max_tokens)
        if any(np.isnan(row[:length]).any() for row, length in zip(logprobs, lengths)):
            raise EngineError(
                "The model's logits are not finite while sampling.",
                "Look for a diverged run: lower `learning_rate`, or start from an earlier checkpoint.",
            )
        return [
            Completion(t[:length].copy(), p[:length].copy(), "stop" if stopped else "length", self.version)
            for t, p, length, stopped in zip(sampled, logprobs, lengths, ended.lengths > 0)
        ]
