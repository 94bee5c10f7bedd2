"""From rows to splits: problems with the places they were read at, without repeats, training apart from evaluation."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hone.core.problem import Problem, Split, split_of
from hone.tasks.bad_rows import BadRow, BadRowError, BadRows, Policy, refuse
from hone.tasks.rows import Row


@dataclass(frozen=True)
class Placed:
    """A problem and the place it was read at."""

    problem: Problem
    source: str
    unit: str
    place: int

    def bad(self, kind: Any, reason: str) -> BadRow:
        """This place as a bad row."""
        return BadRow(kind, self.source, self.unit, self.place, reason)


Sources = Mapping[Split | None, tuple[Iterable[Row], str]]
Make = Callable[[dict[str, Any]], Problem]


def settle(
    name: str, policy: Policy, sources: Sources, unit: str, make: Make, notes: Sequence[str] = ()
) -> tuple[dict[Split, tuple[Problem, ...]], BadRows]:
    """The splits of a task, and its bad rows: those that `make` refuses with a BadRowError, repeats, and training
    problems of the evaluation.

    `sources` are the rows of each split and where they come from; those under None are divided by content. A
    problem's `meta` says where it was read. Raises DataError for any bad row under the policy `strict`.
    """
    splits: dict[Split, list[Placed]] = {"train": [], "test": []}
    found: list[BadRow] = []
    read = 0
    for key, (rows, source) in sources.items():
        good, bad, count = _gather(rows, source, unit, make)
        kept, repeats = _distinct(good)
        found += bad + repeats
        read += count
        for placed in kept:
            splits[key or split_of(placed.problem.id)].append(placed)
    splits["train"], shared = _apart(splits["train"], splits["test"])
    result = BadRows(read, tuple(found + shared), tuple(notes))
    if policy == "strict":
        refuse(name, result)
    return {split: tuple(p.problem for p in placed) for split, placed in splits.items()}, result


def _gather(
    rows: Iterable[Row], source: str, unit: str, make: Make
) -> tuple[list[Placed], list[BadRow], int]:
    """The problems of the rows, the rows that are none, and how many there were."""
    good, bad, read = [], [], 0
    for row in rows:
        read += 1
        try:
            if row.wrong is not None:
                raise row.wrong
            made = make(row.data)
        except BadRowError as error:
            bad.append(BadRow(error.kind, source, unit, row.place, str(error)))
            continue
        problem = replace(made, meta={**made.meta, "source": source, unit: row.place})
        good.append(Placed(problem, source, unit, row.place))
    return good, bad, read


def _distinct(rows: Sequence[Placed]) -> tuple[list[Placed], list[BadRow]]:
    """The first of every problem, and its repeats."""
    first: dict[str, Placed] = {}
    repeats = []
    for row in rows:
        before = first.setdefault(row.problem.id, row)
        if before is not row:
            repeats.append(row.bad("duplicate problem", f"the same as {before.unit} {before.place}"))
    return list(first.values()), repeats


def _apart(train: Sequence[Placed], test: Sequence[Placed]) -> tuple[list[Placed], list[BadRow]]:
    """Training problems that the evaluation does not have, and those that it has."""
    shared = Shared([row.problem for row in test])
    kept, bad = [], []
    for row in train:
        at = shared.find(row.problem)
        if at is None:
            kept.append(row)
        else:
            same = f"{test[at].source}, {test[at].unit} {test[at].place}"
            bad.append(row.bad("in the evaluation split", f"{shared.how(row.problem)} {same}"))
    return kept, bad


class Shared:
    """Evaluation problems by what makes another one the same: its content, or its prompt in normal form."""

    def __init__(self, evaluation: Sequence[Problem]) -> None:
        self.ids = {problem.id: at for at, problem in enumerate(evaluation)}
        self.prompts = {normal(problem): at for at, problem in enumerate(evaluation)}

    def find(self, problem: Problem) -> int | None:
        """The place in the evaluation of a problem that is the same, or None."""
        return self.ids.get(problem.id, self.prompts.get(normal(problem)))

    def how(self, problem: Problem) -> str:
        """In which way a problem that was found is the same."""
        return "the same problem as" if problem.id in self.ids else "the prompt of"


def normal(problem: Problem) -> str:
    """A prompt without differences of case, of white space and of unicode form."""
    return " ".join(unicodedata.normalize("NFKC", problem.text()).casefold().split())
