"""Arithmetic chains with a scratchpad.

`3+4*2-5=` is answered `4*2=8`, `3+8=11`, `11-5=6` and `#6`, a line each.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from hone.core.problem import Problem, Split, Verdict
from hone.tasks.expressions import MARK, final, first_step
from hone.tasks.procedural import (
    as_levels,
    check_index,
    check_quality,
    check_range,
    check_split,
    drawn,
    listed,
)

INTEGER = re.compile(r"[-+]?[0-9]+")
OPERATORS = "+-*"
SLIPS = (-10, -2, -1, 1, 2, 10)
LISTED = 20_000  # a task with at most so many distinct problems lists them


@dataclass(frozen=True)
class Arithmetic:
    """Chains of `operations` (1 to 8; one or a list, drawn evenly) over numbers 0 to `maximum` (1 to 999).

    `level` is the number of operations; * binds closer than + and -. Reward 1 exactly if the text has one
    marker `#` and after it an integer equal to the value; the scratchpad before it is not judged.

    With L operations there are (maximum + 1)^(L + 1) 3^L distinct problems. If that is 20,000 or less in all,
    each is met once, so longer chains prevail, and an index past their number is a TaskError. So are options
    out of range.
    """

    operations: int | tuple[int, ...] = 2
    maximum: int = 9
    name: str = field(default="arithmetic", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", self._levels())
        check_range(self.name, "maximum", self.maximum, 1, 999)

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The chain at `index` of `split`."""
        levels = self._levels()
        size = self.size(split)
        check_index(self.name, index, size)
        if size is not None:
            return _all_problems(levels, self.maximum)[split][index]
        return drawn(self.name, (levels, self.maximum), index, split, self._draw)

    def size(self, split: Split = "train") -> int | None:
        """Distinct problems of `split`, counted if there are at most 20,000 in both; else None."""
        check_split(self.name, split)
        return len(_all_problems(self._levels(), self.maximum)[split]) if self._total() <= LISTED else None

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
        """A solver's text: `direct`, `wandering` (a slip is corrected) or `wrong` (a slip is carried on)."""
        check_quality(quality)
        rng = random.Random(seed)
        chain = str(problem.prompt).removesuffix("=")
        slips = {} if quality == "direct" else {rng.randrange(int(problem.level)): rng.choice(SLIPS)}
        lines, result = reduce_chain(chain, slips, corrected=quality == "wandering")
        if quality == "wrong" and result == problem.answer:  # a later factor 0 has hidden the slip
            result += rng.choice(SLIPS)
        return "\n".join([*lines, f"{MARK}{result}"])

    def outline(self, problem: Problem, text: str) -> str:
        """The pair that is combined first: `4*2`."""
        return first_step(text)

    def _levels(self) -> tuple[int, ...]:
        return as_levels("arithmetic", "operations", self.operations, 1, 8)

    def _total(self) -> int:
        return sum(
            (self.maximum + 1) ** (level + 1) * len(OPERATORS) ** level for level in set(self._levels())
        )

    def _draw(self, rng: random.Random) -> Problem:
        level = rng.choice(self._levels())
        numbers = [rng.randint(0, self.maximum) for _ in range(level + 1)]
        return _pose(_chain(numbers, [rng.choice(OPERATORS) for _ in range(level)]))


def reduce_chain(
    chain: str, slips: Mapping[int, int] | None = None, corrected: bool = False
) -> tuple[list[str], int]:
    """The scratchpad of a chain, products first and then left to right, and the value it arrives at.

    `slips[i]` is added to the result of step i; a `corrected` slip is followed by the same step done right.
    """
    terms: list[str] = re.findall(r"[0-9]+|[-+*]", chain)
    lines: list[str] = []
    for step in range(len(terms) // 2):
        at = terms.index("*") if "*" in terms else 1
        left, operator, right = int(terms[at - 1]), terms[at], int(terms[at + 1])
        value = {"+": left + right, "-": left - right, "*": left * right}[operator]
        slip = (slips or {}).get(step, 0)
        written = [value + slip, value] if slip and corrected else [value + slip]
        lines += [f"{left}{operator}{right}={v}" for v in written]
        terms[at - 1 : at + 2] = [str(written[-1])]
    return lines, int(terms[0])


def _pose(chain: str) -> Problem:
    lines, value = reduce_chain(chain)
    oracle = "\n".join([*lines, f"{MARK}{value}"])
    return Problem(prompt=f"{chain}=", answer=value, task="arithmetic", level=len(lines), oracle=oracle)


def _chain(numbers: Sequence[int], operators: Sequence[str]) -> str:
    return str(numbers[0]) + "".join(f"{o}{n}" for o, n in zip(operators, numbers[1:], strict=True))


@lru_cache(maxsize=8)
def _all_problems(levels: tuple[int, ...], maximum: int) -> dict[Split, tuple[Problem, ...]]:
    return listed(p for level in set(levels) for p in _problems_of(level, maximum))


def _problems_of(level: int, maximum: int) -> Iterator[Problem]:
    for numbers in product(range(maximum + 1), repeat=level + 1):
        yield from (_pose(_chain(numbers, operators)) for operators in product(OPERATORS, repeat=level))
