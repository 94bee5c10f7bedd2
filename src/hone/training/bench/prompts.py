"""Prompts of an exact number of tokens, as files that the task `jsonl` reads, and a reward that costs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hone.core.errors import PolicyError

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def alternate(completions: list[Any], **columns: Any) -> list[float]:
    """1, 0, 1, 0, ...: in a group of two or more no rollout is without signal, so all of them are trained on."""
    return [float(i % 2 == 0) for i in range(len(completions))]


def prompt(tokenizer: Any, tokens: int, number: int) -> str:
    """The prompt number `number`: random letters that are `tokens` tokens. Raises PolicyError if none is found."""
    rng = np.random.default_rng((tokens, number))
    text = "".join(rng.choice(list(LETTERS), size=8 * tokens + 8))
    low, high = 1, len(text)
    while low < high:  # the shortest beginning that is long enough
        middle = (low + high) // 2
        if _size(tokenizer, text[:middle]) < tokens:
            low = middle + 1
        else:
            high = middle
    for end in range(max(1, low - 4), low + 5):  # a tokenizer may take one letter more in fewer tokens
        if _size(tokenizer, text[:end]) == tokens:
            return text[:end]
    raise PolicyError(
        f"No prompt of {tokens} tokens was found for this tokenizer.", "Take another number of prompt tokens."
    )


def _size(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text)["input_ids"])


def write(folder: Path, prompts: list[str]) -> dict[str, str]:
    """Write `prompts` as the training split, and one more problem as the test split; returns the task's recipe."""
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    for path, texts in ((train, prompts), (test, [f"{prompts[0]}?"])):
        # Numbers for answers: two short prompts may be alike, and are two problems all the same.
        lines = (json.dumps({"prompt": text, "answer": number}) + "\n" for number, text in enumerate(texts))
        path.write_text("".join(lines), encoding="utf-8")
    return {"name": f"jsonl:{train}", "test_path": str(test)}
