"""`choice`: the answer is the letter of one option."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from hone.core.problem import Problem, Verdict
from hone.tasks.verifiers.contract import judge
from hone.tasks.verifiers.reading import marked, plain, tail

SEARCHED = 100_000  # characters, from the end


@dataclass(frozen=True)
class Choice:
    """Compares option letters, capitals from `letters`. Searched are the last 100,000 characters.

    At an answer mark (see `reading.marked`), else in the last line that is not blank: letters written as
    options (`(B)`, `B)`, `B.`, `B:`) count before letters that stand alone (so `B. A dog` is B). Two
    different ones are no answer. Without a mark the line must begin with the letter.
    """

    letters: str = "ABCDEFGHIJ"
    name: str = field(default="choice", init=False)

    def parse(self, text: str) -> str | None:
        """The letter, or None."""
        text = plain(tail(text, SEARCHED))
        found = marked(text)
        if found is None:
            lines = text.strip().splitlines()
            found = lines[-1].strip(" \t*`") if lines else ""
            if not re.match(rf"\(?[{self._set}](?:[).:]|$)", found):
                return None
        found = re.sub(r"\\text\w*|[{}$*]", " ", found)
        written = re.findall(rf"(?<![A-Za-z0-9])([{self._set}])[).:]", found)
        alone = re.findall(rf"(?<![A-Za-z0-9])([{self._set}])(?![A-Za-z0-9'])", found)
        distinct = set(written or alone)
        return distinct.pop() if len(distinct) == 1 else None

    @property
    def _set(self) -> str:
        return re.escape(self.letters)

    def gold(self, answer: Any) -> str:
        """The problem's letter, brackets aside; ValueError if it is none of `letters`."""
        letter = str(answer).strip(" ().:")
        if len(letter) != 1 or letter not in self.letters:
            raise ValueError(f"the answer {str(answer)[:80]!r} is not one of the letters {self.letters}")
        return letter

    def same(self, a: str | None, b: str | None) -> bool:
        """Equality of letters."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The letter."""
        return answer or ""

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Reward 1 if the letter in `text` is the problem's, else 0."""
        return judge(self, problem, text)
