"""A reward of one's own: the share of letters that stand in the right place; 1 for the right answer alone."""

from __future__ import annotations

from typing import Any


def score(completions: list[str], answer: list[str], **columns: Any) -> list[float]:
    """One number for each completion. Every column of the data file arrives as a list of the same length.

    A reward of 1 or more counts as solved in `pass_rate`, pass@k and maj@k.
    """
    return [share_in_place(text.strip(), right) for text, right in zip(completions, answer, strict=True)]


def share_in_place(text: str, right: str) -> float:
    """How many places agree, over the longer length: 1 exactly if the texts are equal."""
    return sum(a == b for a, b in zip(text, right)) / max(len(text), len(right))
