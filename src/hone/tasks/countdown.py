"""Countdown: combine all given numbers with + - * / and parentheses to meet a target, `3,7,12=33>`.

The answer is a scratchpad, a step a line, then `#` and the expression: `3*7=21`, `21+12=33`, `#3*7+12`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hone.core.problem import Problem, Split, Verdict
from hone.tasks.expressions import MARK, Expression, evaluate, final, first_step
from hone.tasks.procedural import as_levels, check_quality, check_range, drawn

MAX_VALUE = 999
Term = tuple[int, str, bool]  # value, text, and whether the text is a sum (in parentheses inside a product)


@dataclass(frozen=True)
class Countdown:
    """A target and `numbers` (3 to 6; one or a list, drawn evenly) given numbers, 1 to `maximum` (20 to 100).

    Every number must be used exactly once. `level` is how many there are. Reward 1 exactly if the text has
    one marker `#` and after it an expression of the numbers with the target as its exact value (fractions on
    the way are allowed); the scratchpad before it is not judged. At least one expression, with intermediate
    values that are integers from 1 to 999, meets the target. Options out of range are a TaskError.
    """

    numbers: int | tuple[int, ...] = 3
    maximum: int = 20
    name: str = field(default="countdown", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", self._levels())
        check_range(self.name, "maximum", self.maximum, 20, 100)

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The numbers and target at `index` of `split`."""
        return drawn(self.name, (self._levels(), self.maximum), index, split, self._draw)

    def size(self, split: Split = "train") -> int | None:
        """None: the smallest options have 8,000 ordered triples with dozens of targets each."""
        return None

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Evaluate the expression after the marker exactly and count the numbers it uses."""
        answer = self.parse(text)
        expression = None if answer is None else evaluate(answer)
        if expression is None:
            return Verdict(reward=0.0, detail=f"no single expression after {MARK}")
        given, target = read(str(problem.prompt))
        if sorted(expression.numbers) != sorted(given):
            return Verdict(reward=0.0, answer=answer, detail="does not use each number exactly once")
        return Verdict(
            reward=float(expression.value == target), answer=answer, detail=f"value {expression.value}"
        )

    def parse(self, text: str) -> str | None:
        """The expression after the only marker, without spaces, or None."""
        answer = final(text)
        return None if answer is None or evaluate(answer) is None else answer.replace(" ", "")

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether two expressions use the same numbers and have the same value."""
        return a is not None and b is not None and self.key(a) == self.key(b)

    def key(self, answer: str | None) -> str:
        """Value and sorted numbers: expressions that agree in both are right or wrong together."""
        expression: Expression | None = None if answer is None else evaluate(answer)
        return "" if expression is None else f"{expression.value} of {sorted(expression.numbers)}"

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A solver's text: `direct`, `wandering` (after a failed attempt) or `wrong` (the failed attempt)."""
        check_quality(quality)
        rng = random.Random(seed)
        given, target = read(str(problem.prompt))
        attempt, value, expression = combine(rng, given)
        while value == target:
            attempt, value, expression = combine(rng, given)
        if quality == "wrong":
            return "\n".join([*attempt, f"{MARK}{expression}"])
        return "\n".join([*(attempt if quality == "wandering" else ()), str(problem.oracle)])

    def outline(self, problem: Problem, text: str) -> str:
        """The pair that is combined first, and how: `3*7`."""
        return first_step(text)

    def _levels(self) -> tuple[int, ...]:
        return as_levels("countdown", "numbers", self.numbers, 3, 6)

    def _draw(self, rng: random.Random) -> Problem:
        count = rng.choice(self._levels())
        given = [rng.randint(1, self.maximum) for _ in range(count)]
        steps, target, expression = combine(rng, given)
        return Problem(
            prompt=f"{','.join(map(str, given))}={target}>",
            answer=target,
            task=self.name,
            level=count,
            oracle="\n".join([*steps, f"{MARK}{expression}"]),
            meta={"numbers": given},
        )


def read(prompt: str) -> tuple[list[int], int]:
    """Numbers and target of a prompt."""
    numbers, target = prompt.removesuffix(">").split("=")
    return [int(n) for n in numbers.split(",")], int(target)


def combine(rng: random.Random, numbers: list[int]) -> tuple[list[str], int, str]:
    """Join random pairs by random operators until one value is left: the steps, the value and the expression.

    Every intermediate value is an integer from 1 to MAX_VALUE.
    """
    terms: list[Term] = [(n, str(n), False) for n in numbers]
    steps: list[str] = []
    while len(terms) > 1:
        i, j = rng.sample(range(len(terms)), 2)
        left, right = terms[i], terms[j]
        if not _choices(left[0], right[0]):
            left, right = right, left  # the larger minus the smaller always fits
        operator, value = rng.choice(_choices(left[0], right[0]))
        steps.append(f"{left[0]}{operator}{right[0]}={value}")
        joined = (value, _join(left, operator, right), operator in "+-")
        terms = [t for k, t in enumerate(terms) if k not in (i, j)] + [joined]
    return steps, terms[0][0], terms[0][1]


def _choices(left: int, right: int) -> list[tuple[str, int]]:
    """Operators that keep the value a positive integer within bounds, with that value."""
    values = [("+", left + right), ("-", left - right), ("*", left * right)]
    values += [("/", left // right)] if left % right == 0 else []
    return [(operator, value) for operator, value in values if 1 <= value <= MAX_VALUE]


def _join(left: Term, operator: str, right: Term) -> str:
    """The expression text with only the parentheses that are needed."""
    bind = operator in "*/"
    first = f"({left[1]})" if bind and left[2] else left[1]
    guard = (operator == "-" and right[2]) or (operator == "*" and right[2]) or operator == "/"
    second = f"({right[1]})" if guard and not right[1].isdigit() else right[1]
    return f"{first}{operator}{second}"
