"""Arithmetic chains with a scratchpad: `3+4*2-5=` is answered `4*2=8`, `3+8=11`, `11-5=6`, `#6`, a line each."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, Verdict
from hone.tasks.expressions import MARK, evaluate, final
from hone.tasks.procedural import as_levels, check_index, drawn, listed

INTEGER = re.compile(r"[-+]?[0-9]+")
SIGNS = "+-*"
LISTED = 20_000  # a task with at most so many distinct problems lists them


@dataclass(frozen=True)
class Arithmetic:
    """Chains of `operations` (1 to 8; one or a list, drawn evenly) over numbers from 0 to `maximum` (1 to 999).

    `level` is the number of operations; * binds closer than + and -. Reward 1 exactly if the text has one marker `#`
    and an integer equal to the value after it; the scratchpad before it is not judged.

    With L operations there are (maximum + 1)^(L + 1) 3^L distinct problems; up to 20,000 in all, each is met once and
    an index past their number is a TaskError. Options out of range are a TaskError.
    """

    operations: int | tuple[int, ...] = 2
    maximum: int = 9
    name: str = field(default="arithmetic", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", self._levels())
        as_levels(self.name, "maximum", self.maximum, 1, 999)

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The chain at `index` of `split`."""
        levels = self._levels()
        if self._total() <= LISTED:
            problems = _all_problems(levels, self.maximum, split)
            check_index(self.name, index, split, len(problems))
            return problems[index]
        return drawn(self.name, (levels, self.maximum), index, split, self._draw)

    def size(self, split: Split = "train") -> int | None:
        """Distinct problems of `split`, counted if there are at most 20,000 in both; else None."""
        return len(_all_problems(self._levels(), self.maximum, split)) if self._total() <= LISTED else None

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Compare the integer after the marker with the value."""
        answer = self.parse(text)
        if answer is None:
            return Verdict(reward=0.0, detail=f"no single integer after {MARK}")
        return Verdict(reward=float(answer == problem.answer), answer=answer)

    def parse(self, text: str) -> int | None:
        """The integer after the only marker, or None."""
        answer = final(text)
        return int(answer) if answer is not None and INTEGER.fullmatch(answer) else None

    def same(self, a: int | None, b: int | None) -> bool:
        """Whether two integers are equal."""
        return a is not None and a == b

    def key(self, answer: int | None) -> str:
        """The integer in decimal digits."""
        return "" if answer is None else str(answer)

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A text for `problem`: `direct`, `wandering` (a slip that is corrected) or `wrong` (a slip that stays)."""
        if quality not in ("direct", "wandering", "wrong"):
            raise TaskError(f"There is no quality `{quality}`.", "Use `direct`, `wandering` or `wrong`.")
        rng = random.Random(seed)
        terms = re.findall(r"[0-9]+|[-+*]", str(problem.prompt)[:-1])
        slip_at = rng.randrange(len(terms) // 2) if quality != "direct" else -1
        lines: list[str] = []
        while len(terms) > 1:
            at = terms.index("*") if "*" in terms else 1
            sum_ = "".join(terms[at - 1 : at + 2])
            value = _apply(int(terms[at - 1]), terms[at], int(terms[at + 1]))
            if slip_at == 0:
                slip = value + rng.choice((-10, -2, -1, 1, 2, 10))
                lines.append(f"{sum_}={slip}")
                value = slip if quality == "wrong" else value
            if slip_at != 0 or quality == "wandering":
                lines += [f"{sum_}={value}"] * (slip_at != 0 or quality == "wandering")
            slip_at -= 1
            terms[at - 1 : at + 2] = [str(value)]
        result = int(terms[0])
        if quality == "wrong" and result == problem.answer:  # a later factor 0 has hidden the slip
            result += rng.choice((-1, 1))
        return "\n".join([*lines, f"{MARK}{result}"])

    def _levels(self) -> tuple[int, ...]:
        return as_levels("arithmetic", "operations", self.operations, 1, 8)

    def _total(self) -> int:
        return sum((self.maximum + 1) ** (level + 1) * len(SIGNS) ** level for level in set(self._levels()))

    def _draw(self, rng: random.Random) -> Problem:
        level = rng.choice(self._levels())
        numbers = [rng.randint(0, self.maximum) for _ in range(level + 1)]
        return _pose(numbers, [rng.choice(SIGNS) for _ in range(level)])
