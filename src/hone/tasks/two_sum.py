"""Two-sum: name two of the given numbers whose sum is the target, `4,9,2,7,5=11>`.

The answer is a search, an attempt a line, then `#` and the pair: `4+9=13`, `?2+7=9`, `?4+7=11`, `#4+7`. `?` begins an
attempt after one that has failed. Longer searches can find more, so it is a task to study how long to think.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import combinations

from hone.core.problem import Problem, Split, Verdict
from hone.tasks.countdown import read
from hone.tasks.expressions import MARK, evaluate, final
from hone.tasks.procedural import as_levels, check_quality, check_range, drawn

RETRY = "?"
MOST_FAILED = 5  # attempts that a demonstration fails in
QUALITIES = ("direct", "wandering", "hasty")


@dataclass(frozen=True)
class TwoSum:
    """`numbers` (4 to 9; one or a list, drawn evenly) different numbers from 1 to `maximum` (9 to 50), and a target.

    `level` is how many there are. Reward 1 exactly if the text has one marker `#` and after it the sum of two different
    given numbers that is the target; the search before it is not judged. One pair or several have that sum. Options out
    of range are a TaskError.
    """

    numbers: int | tuple[int, ...] = 6
    maximum: int = 9
    name: str = field(default="two_sum", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", self._levels())
        check_range(self.name, "maximum", self.maximum, 9, 50)

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The numbers and target at `index` of `split`."""
        return drawn(self.name, (self._levels(), self.maximum), index, split, self._draw)

    def size(self, split: Split = "train") -> int | None:
        """None: four of nine numbers in any order, with their targets, are more than 10,000 problems."""
        return None

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Add up the pair after the marker."""
        answer = self.parse(text)
        pair = None if answer is None else _pair(answer)
        if pair is None:
            return Verdict(reward=0.0, detail=f"no sum of two numbers after {MARK}")
        given, target = read(str(problem.prompt))
        if pair[0] == pair[1] or not set(pair) <= set(given):
            return Verdict(reward=0.0, answer=answer, detail="not two of the given numbers")
        return Verdict(reward=float(sum(pair) == target), answer=answer, detail=f"sum {sum(pair)}")

    def parse(self, text: str) -> str | None:
        """The sum after the only marker, without spaces, or None."""
        answer = final(text)
        return None if answer is None or _pair(answer) is None else answer.replace(" ", "")

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether two answers name the same pair."""
        return a is not None and b is not None and self.key(a) == self.key(b)

    def key(self, answer: str | None) -> str:
        """The pair in order of size."""
        pair = None if answer is None else _pair(answer)
        return "" if pair is None else "+".join(map(str, sorted(pair)))

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A solver's text: `direct` (the answer alone), `wandering` (0 to 5 failed attempts, then the right one and the
        answer), or `hasty` (1 to 5 failed attempts, then any pair that was not tried as the answer).

        What is tried is drawn at random, and so is the pair where several are right.
        """
        check_quality(quality, QUALITIES)
        rng = random.Random(seed)
        given, target = read(str(problem.prompt))
        pairs = [p if rng.random() < 0.5 else p[::-1] for p in combinations(given, 2)]
        rng.shuffle(pairs)
        right = next(p for p in pairs if sum(p) == target)
        if quality == "direct":
            return _answer(right)
        wrong = [p for p in pairs if sum(p) != target]
        failed = wrong[: rng.randint(int(quality == "hasty"), min(MOST_FAILED, len(wrong)))]
        guess = next((p for p in pairs if p not in failed), right)
        tried = [*failed, right] if quality == "wandering" else failed
        lines = [f"{RETRY if i else ''}{a}+{b}={a + b}" for i, (a, b) in enumerate(tried)]
        return "\n".join([*lines, _answer(right if quality == "wandering" else guess)])

    def _levels(self) -> tuple[int, ...]:
        return as_levels("two_sum", "numbers", self.numbers, 4, 9)

    def _draw(self, rng: random.Random) -> Problem:
        given = rng.sample(range(1, self.maximum + 1), rng.choice(self._levels()))
        a, b = rng.sample(given, 2)
        return Problem(
            prompt=f"{','.join(map(str, given))}={a + b}>",
            answer=a + b,
            task=self.name,
            level=len(given),
            oracle=f"{a}+{b}={a + b}\n{_answer((a, b))}",
        )


def _pair(answer: str) -> tuple[int, int] | None:
    """The two numbers of `a+b`; None for any other text."""
    found = evaluate(answer)
    plain = found is not None and answer.replace(" ", "") == "+".join(map(str, found.numbers))
    return (found.numbers[0], found.numbers[1]) if found and plain and len(found.numbers) == 2 else None


def _answer(pair: tuple[int, int]) -> str:
    return f"{MARK}{pair[0]}+{pair[1]}"
