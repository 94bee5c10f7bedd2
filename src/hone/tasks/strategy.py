"""Latent strategies: `K4827=` is answered by one of the digits, and the letter decides by which.

Each letter stands for a place, the strategy, which no prompt says: knowing how to read the digit at any place is not
knowing which place is right. The smallest text task in which an abstraction, the name of a strategy, is worth having.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase, digits

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, Verdict, stable_hash
from hone.tasks.procedural import check_quality, check_range, check_split, drawn


@dataclass(frozen=True)
class Strategy:
    """`cues` letters (2 to 26), each with one of `strategies` places (2 to 8), named a, b, c, ... (their `outline`).

    A prompt has a cue and as many digits as there are strategies, all different, so that every strategy has an answer
    of its own. Reward 1 exactly if the text is the digit at the cue's place. Which cue has which place depends on the
    options alone; cues are shared out evenly.
    """

    strategies: int = 4
    cues: int = 16
    name: str = field(default="strategy", init=False)

    def __post_init__(self) -> None:
        check_range(self.name, "strategies", self.strategies, 2, 8)
        check_range(self.name, "cues", self.cues, 2, len(ascii_uppercase))

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index` of `split`."""
        return drawn(self.name, (self.strategies, self.cues), index, split, self._draw)

    def size(self, split: Split = "train") -> int | None:
        """None: with four strategies and 16 cues there are 80,640."""
        check_split(self.name, split)
        return None

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Compare the digit with that at the right place."""
        answer = self.parse(text)
        if answer is None:
            return Verdict(reward=0.0, detail="not one digit")
        return Verdict(reward=float(answer == problem.answer), answer=answer)

    def parse(self, text: str) -> str | None:
        """The digit, or None for anything else."""
        answer = text.strip()
        return answer if len(answer) == 1 and answer in digits else None

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether two digits are equal."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The digit itself."""
        return answer or ""

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A `direct` answer, or a `wrong` one, the digit at another place. TaskError for `wandering`."""
        check_quality(quality)
        if quality == "wandering":
            raise TaskError("An answer of `strategy` has no room to wander.", "Use `direct` and `wrong`.")
        if quality == "direct":
            return str(problem.answer)
        return random.Random(seed).choice([digit for digit in _given(problem) if digit != problem.answer])

    def outline(self, problem: Problem, text: str) -> str:
        """The letter of the strategy that an answer follows; empty if it follows none."""
        place = _given(problem).find(text.strip() or " ")
        return "" if place < 0 else ascii_lowercase[place]

    def _draw(self, rng: random.Random) -> Problem:
        cue = rng.randrange(self.cues)
        given = "".join(rng.sample(digits, self.strategies))
        answer = given[_places(self.strategies, self.cues)[cue]]
        return Problem(f"{ascii_uppercase[cue]}{given}=", answer, self.name, oracle=answer)


def _given(problem: Problem) -> str:
    """The digits of a prompt."""
    return str(problem.prompt)[1:-1]


@lru_cache(maxsize=16)
def _places(strategies: int, cues: int) -> tuple[int, ...]:
    """The place that each cue stands for."""
    places = [cue % strategies for cue in range(cues)]
    random.Random(stable_hash("strategy", strategies, cues)).shuffle(places)
    return tuple(places)
