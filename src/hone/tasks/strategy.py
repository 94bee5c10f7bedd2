"""Latent strategies: `K47=` is answered by both digits moved on by a few, and the letter decides by how many.

Each letter stands for a shift, the strategy, which no prompt says: knowing how to carry out any shift is not knowing
which is right. The smallest text task in which an abstraction, the name of a strategy, is worth having.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase, digits

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, Verdict, stable_hash
from hone.tasks.procedural import check_index, check_quality, check_range, check_split, listed


@dataclass(frozen=True)
class Strategy:
    """`cues` letters (2 to 26), each with one of `strategies` shifts (2 to 9), named a (by one), b, c, ... (`outline`).

    Reward 1 exactly if the text is the two digits, each moved on by the cue's shift (9 is followed by 0). Which cue has
    which shift depends on the options alone; cues are shared out evenly. There are 100 problems for each cue.
    """

    strategies: int = 4
    cues: int = 16
    name: str = field(default="strategy", init=False)

    def __post_init__(self) -> None:
        check_range(self.name, "strategies", self.strategies, 2, 9)
        check_range(self.name, "cues", self.cues, 2, len(ascii_uppercase))

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index` of `split`."""
        check_index(self.name, index, self.size(split))
        return _all_problems(self.strategies, self.cues)[split][index]

    def size(self, split: Split = "train") -> int:
        """Distinct problems of `split`."""
        check_split(self.name, split)
        return len(_all_problems(self.strategies, self.cues)[split])

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Compare the digits with those of the right shift."""
        answer = self.parse(text)
        if answer is None:
            return Verdict(reward=0.0, detail="not two digits")
        return Verdict(reward=float(answer == problem.answer), answer=answer)

    def parse(self, text: str) -> str | None:
        """The two digits, or None for anything else."""
        answer = text.strip()
        return answer if len(answer) == 2 and set(answer) <= set(digits) else None

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether two answers are equal."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The digits themselves."""
        return answer or ""

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A `direct` answer, or a `wrong` one by another shift. TaskError for `wandering`."""
        check_quality(quality)
        if quality == "wandering":
            raise TaskError("An answer of `strategy` has no room to wander.", "Use `direct` and `wrong`.")
        if quality == "direct":
            return str(problem.answer)
        answers = [carry_out(problem, shift) for shift in range(1, self.strategies + 1)]
        return random.Random(seed).choice([answer for answer in answers if answer != problem.answer])

    def outline(self, problem: Problem, text: str) -> str:
        """The letter of the strategy that an answer follows; empty if it follows none."""
        answer = text.strip()
        shifts = range(1, self.strategies + 1)
        return next((ascii_lowercase[s - 1] for s in shifts if carry_out(problem, s) == answer), "")


def carry_out(problem: Problem, shift: int) -> str:
    """The digits of a problem, each moved on by `shift`."""
    return _moved(str(problem.prompt)[1:3], shift)


def _moved(given: str, shift: int) -> str:
    return "".join(str((int(digit) + shift) % 10) for digit in given)


@lru_cache(maxsize=4)
def _all_problems(strategies: int, cues: int) -> dict[Split, tuple[Problem, ...]]:
    shifts = [1 + cue % strategies for cue in range(cues)]
    random.Random(stable_hash("strategy", strategies, cues)).shuffle(shifts)
    return listed(
        Problem(f"{cue}{a}{b}=", _moved(a + b, shift), "strategy", oracle=_moved(a + b, shift))
        for cue, shift in zip(ascii_uppercase, shifts)
        for a in digits
        for b in digits
    )
