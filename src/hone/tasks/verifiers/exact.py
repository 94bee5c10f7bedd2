"""`exact`: the answer is a string, and only the same string is right."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from hone.core.problem import Problem, Verdict
from hone.tasks.verifiers.contract import judge
from hone.tasks.verifiers.reading import marked


@dataclass(frozen=True)
class Exact:
    """Compares text. The answer is what stands at the last answer mark (see `reading.marked`), or the whole
    text.

    Case counts. White space is collapsed, one final full stop is dropped and unicode is composed (NFC) on
    both sides.
    """

    name: str = field(default="exact", init=False)

    def parse(self, text: str) -> str | None:
        """The answer, or None if it is empty."""
        found = marked(text)
        return canonical(text if found is None else found) or None

    def gold(self, answer: Any) -> str:
        """The problem's answer as text; ValueError if it is empty."""
        text = canonical(str(answer))
        if not text:
            raise ValueError("the answer is empty")
        return text

    def same(self, a: str | None, b: str | None) -> bool:
        """String equality."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The string."""
        return answer or ""

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Reward 1 if the answer in `text` is the problem's, else 0."""
        return judge(self, problem, text)


def canonical(text: str) -> str:
    """`text` with composed unicode, single spaces and no final full stop."""
    return " ".join(unicodedata.normalize("NFC", text).split()).removesuffix(".").rstrip()
