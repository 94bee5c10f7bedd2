"""The same answer lengths in TRL and in hone: one schedule, a number of tokens for each row of a step.

The weights are random, so answers would end anywhere, and not in the same places. Here row i of a step, problem after
problem and answer after answer, has exactly `schedule[i]` sampled tokens on both sides, all of them trained on:

- transformers' `generate` knows no limit of a single row. A logits processor forbids the end token before place
  `schedule[i]` of row i and leaves nothing else there. It writes one column of the logits a token.
- transformers' continuous batching takes a limit with each request, and so does hone's engine. There no token ends an
  answer, and the limit of its own request does.

Neither scheduler is told anything that it uses: both admit rows in the order in which they come. A row that has ended
is padding in `generate` until the longest has ended, as it always is; the other two give its place away. The last token
of a row is the end token on one side and any token on the other; it costs the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import torch
from transformers import LogitsProcessor


class ForcedLengths(LogitsProcessor):
    """Row i emits token `end` at its `lengths[i]`-th place and nowhere before. Used for one call of `generate`."""

    def __init__(self, lengths: Sequence[int], end: int) -> None:
        self._end = end
        self._ending: dict[int, list[int]] = defaultdict(list)
        for row, length in enumerate(lengths):
            self._ending[length].append(row)
        self._place = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The logits `scores[rows, vocabulary]` of the next place, changed in place."""
        self._place += 1
        scores[:, self._end] = -torch.inf
        rows = self._ending.get(self._place)
        if rows:
            scores[rows] = -torch.inf
            scores[rows, self._end] = 0.0
        return scores


def force(model: Any, lengths: Sequence[int], end: int) -> None:
    """Make every `generate` and `generate_batch` of a transformers model keep to `lengths`, one for each row."""
    generate, generate_batch = model.generate, model.generate_batch

    def forced(*arguments: Any, **options: Any) -> Any:
        return generate(*arguments, logits_processor=[ForcedLengths(lengths, end)], **options)

    def forced_batch(*arguments: Any, **options: Any) -> Any:
        from transformers.generation.continuous_batching import ContinuousBatchingManager

        def add_requests(manager: Any, inputs: Sequence[Sequence[int]], **_: Any) -> list[str]:
            return [
                manager.add_request(list(ids), max_new_tokens=length, eos_token_id=-1)
                for ids, length in zip(inputs, lengths, strict=True)
            ]

        with patch.object(ContinuousBatchingManager, "add_requests", add_requests):
            return generate_batch(*arguments, **options)

    model.generate, model.generate_batch = forced, forced_batch
