"""`gsm8k`: grade-school word problems (Cobbe et al. 2021, arXiv:2110.14168), from files or the hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hone.core.errors import DataError
from hone.core.problem import Problem, Split, Verdict
from hone.tasks.bad_rows import BadRowError, BadRows, Policy
from hone.tasks.procedural import check_index
from hone.tasks.rows import Row, hub_rows, jsonl_rows
from hone.tasks.splits import settle
from hone.tasks.verifiers import Number

HUB, CONFIG = "openai/gsm8k", "main"
_CALCULATOR = re.compile(r"<<[^<>]*>>")


@dataclass(frozen=True)
class Gsm8k:
    """7,473 training and 1,319 test problems, in the data set's own order and splits.

    `path` is a folder with `train.jsonl` and `test.jsonl` (`question`, `answer`); where it is empty, the
    folder that the environment variable HONE_GSM8K names, else the hub's `openai/gsm8k`. The answer is the
    number after `####`; the oracle is the worked solution without its `<<...>>` calculator notes. Checked by
    the verifier `number`. `bad_rows` is as in a file task: rows without such an answer, repeats and training
    problems of the test split are a DataError that lists them, or are left out. DataError if a file is missing.
    """

    path: str = ""
    bad_rows: Policy = "strict"
    name: str = field(default="gsm8k", init=False)
    bad: BadRows = field(init=False, repr=False, compare=False)
    _problems: dict[Split, tuple[Problem, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        folder = self.path or os.environ.get("HONE_GSM8K", "")
        sources: dict[Split | None, tuple[Iterable[Row], str]] = {}
        splits: tuple[Split, ...] = ("train", "test")
        loaded = {} if folder else hub_rows(HUB, CONFIG)
        if not folder and set(loaded) != set(splits):
            raise DataError(
                f"`{HUB}` as loaded has no train and test splits.", "Give `task.path`, a folder with both."
            )
        for split in splits:
            file = str(Path(folder) / f"{split}.jsonl")
            sources[split] = (jsonl_rows(file), file) if folder else (loaded[split], f"{HUB} ({split})")
        unit = "line" if folder else "row"
        problems, found = settle(self.name, self.bad_rows, sources, unit, _problem)
        object.__setattr__(self, "_problems", problems)
        object.__setattr__(self, "bad", found)

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index` of `split`; TaskError at or past `size(split)`."""
        check_index(self.name, index, self.size(split))
        return self._problems[split][index]

    def size(self, split: Split = "train") -> int | None:
        """The number of problems in `split`."""
        return len(self._problems.get(split, ()))

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Reward 1 if the number in `text` (see the verifier `number`) is the answer."""
        return _NUMBER.verify(problem, text)

    def parse(self, text: str) -> str | None:
        """The number in `text` as a fraction in lowest terms, or None."""
        return _NUMBER.parse(text)

    def same(self, a: str | None, b: str | None) -> bool:
        """Equality of value."""
        return _NUMBER.same(a, b)

    def key(self, answer: str | None) -> str:
        """The fraction in lowest terms."""
        return _NUMBER.key(answer)


_NUMBER = Number()


def _problem(data: dict[str, Any]) -> Problem:
    """The problem that a row holds. Raises BadRowError."""
    question, solution = data.get("question"), data.get("answer")
    if not isinstance(question, str) or not question.strip():
        raise BadRowError("empty prompt", "it needs text in `question`")
    if not isinstance(solution, str) or "####" not in solution:
        raise BadRowError("missing answer", "it needs text in `answer`, with the final answer after `####`")
    try:
        answer = _NUMBER.gold(solution.rsplit("####", 1)[1])
    except ValueError as error:
        raise BadRowError("unusable answer", str(error)) from None
    return Problem(question, answer, task="gsm8k", oracle=_CALCULATOR.sub("", solution))
