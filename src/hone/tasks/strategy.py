"""Latent strategies: `K47=` is answered `347`, the strategy that the letter stands for and what it is applied to.

No prompt says which letter stands for which strategy: to be able to carry out any is not to know which is right.
The smallest text task in which an abstraction, the name of a strategy, is worth having.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_uppercase, digits

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, Verdict, stable_hash
from hone.tasks.procedural import check_index, check_quality, check_range, check_split, listed

NAMES = digits[1:]
ANSWER = re.compile("[1-9][0-9]{2}")


@dataclass(frozen=True)
class Strategy:
    """`cues` letters (2 to 26), each of which stands for one of `strategies` (2 to 9) named 1, 2, 3, ... (`outline`).

    Reward 1 exactly if the text is the name of the cue's strategy and the two digits. Which cue has which strategy
    depends on the options alone; cues are shared out evenly. There are 100 problems for each cue.
    """

    strategies: int = 4
    cues: int = 16
    name: str = field(default="strategy", init=False)

    def __post_init__(self) -> None:
        check_range(self.name, "strategies", self.strategies, 2, len(NAMES))
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
        """Compare the strategy and the digits with the right ones."""
        answer = self.parse(text)
        if answer is None:
            return Verdict(reward=0.0, detail="not a strategy and two digits")
        return Verdict(reward=float(answer == problem.answer), answer=answer)

    def parse(self, text: str) -> str | None:
        """The strategy and the digits, or None for anything else."""
        answer = text.strip()
        return answer if ANSWER.fullmatch(answer) else None

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether two answers are equal."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The answer itself."""
        return answer or ""

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A `direct` answer, or a `wrong` one by another strategy. TaskError for `wandering`."""
        check_quality(quality)
        if quality == "wandering":
            raise TaskError("An answer of `strategy` has no room to wander.", "Use `direct` and `wrong`.")
        if quality == "direct":
            return str(problem.answer)
        right = str(problem.answer)
        names = [name for name in NAMES[: self.strategies] if name != right[0]]
        return random.Random(seed).choice(names) + right[1:]

    def outline(self, problem: Problem, text: str) -> str:
        """The name of the strategy that an answer follows; empty for anything but an answer."""
        answer = self.parse(text)
        return answer[0] if answer else ""


@lru_cache(maxsize=4)
def _all_problems(strategies: int, cues: int) -> dict[Split, tuple[Problem, ...]]:
    names = [NAMES[cue % strategies] for cue in range(cues)]
    random.Random(stable_hash("strategy", strategies, cues)).shuffle(names)
    return listed(
        Problem(f"{cue}{a}{b}=", f"{name}{a}{b}", "strategy", oracle=f"{name}{a}{b}")
        for cue, name in zip(ascii_uppercase, names)
        for a in digits
        for b in digits
    )
