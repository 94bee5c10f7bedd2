"""Where completions end: end tokens by table look-up, stop strings by decoding only the few rows that may hold one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

REPLACEMENT = "\ufffd"  # how a decoder writes a token that is only part of a character
WORD_START = "\u2581"  # SentencePiece's leading space, which decoding a lone token drops


class Stops:
    """End rules of one tokenizer. Tables over the vocabulary are made once for each set of stop strings."""

    def __init__(self, tokenizer: Any, end_tokens: Iterable[int], vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._ends = np.zeros(vocabulary, dtype=bool)
        self._ends[[t for t in end_tokens if t < vocabulary]] = True
        self._candidates: dict[tuple[str, ...], npt.NDArray[np.bool_]] = {
            (): np.zeros(vocabulary, dtype=bool)
        }

    def candidates(self, stop: tuple[str, ...]) -> Bool[np.ndarray, "vocabulary"]:
        """Tokens that can complete one of `stop`: their text may hold the last character of one."""
        if stop not in self._candidates:
            last = {s[-1] for s in stop}
            table = np.zeros(len(self._ends), dtype=bool)
            size = min(len(self._ends), len(self._tokenizer))
            for token in range(size):
                text = self._text([token])
                if str(self._tokenizer.convert_ids_to_tokens(token)).startswith(WORD_START):
                    text = " " + text
                table[token] = REPLACEMENT in text or not last.isdisjoint(text)
            self._candidates[stop] = table
        return self._candidates[stop]

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def completes(self, tokens: Int[np.ndarray, "length"], stop: tuple[str, ...]) -> bool:
        """Whether the text of `tokens` ends in a token that completes a stop string.

        Only as many tokens as the longest stop string has bytes are decoded, and one more: a token is at
        least one byte, and the first of a window may lose its leading space.
        """
        window = max(len(s.encode()) for s in stop) + 1
        text = self._text(tokens[-window:].tolist())
        return any(s in text for s in stop)

    def first_end(
        self,
        chunk: Int[np.ndarray, "rows steps"],
        stops: list[tuple[str, ...]],
        kinds: Int[np.ndarray, "rows"],
        history: Callable[[int, int], Int[np.ndarray, "length"]],
    ) -> Int[np.ndarray, "rows"]:
        """The step of `chunk` at which each row ends by an end token or a stop string; `steps` if it does not.

        Row i stops at the strings `stops[kinds[i]]`; `history(i, s)` are its sampled tokens up to step s
        inclusive.
        """
        steps = chunk.shape[1]
        ended = self._ends[chunk]
        first = np.where(ended.any(1), ended.argmax(1), steps)
        for kind, stop in enumerate(stops):
            if not stop:
                continue
            hits = self.candidates(stop)[chunk] & (kinds == kind)[:, None]
            for row, step in np.argwhere(hits):  # row after row, steps ascending
                if step < first[row] and self.completes(history(int(row), int(step)), stop):
                    first[row] = step
        return first
