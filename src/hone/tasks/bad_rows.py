"""Bad rows of problem files: each has a kind, a place and a reason; they are counted, listed, refused or left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from hone.core.errors import DataError

Kind = Literal[
    "truncated JSON", "invalid JSON", "wrong encoding", "not an object",
    "missing prompt", "empty prompt", "malformed prompt",
    "missing answer", "unusable answer", "missing oracle", "unusable oracle",
    "duplicate problem", "in the evaluation split", "prompt over the context",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
Policy = Literal["strict", "skip"]
LISTED = 10  # places of each kind that are written out; the others are counted


class BadRowError(ValueError):
    """Why a row is no problem. The readers of this room catch it; it reaches nobody else."""

    def __init__(self, kind: Kind, reason: str) -> None:
        self.kind: Kind = kind
        super().__init__(reason)


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be used. `place` counts `unit`s of `source`: lines of a file from 1, rows from 0."""

    kind: Kind
    source: str
    unit: str
    place: int
    reason: str


@dataclass(frozen=True)
class BadRows:
    """What became of the rows of a task: how many were read, which are bad, and what else should be said of them."""

    read: int
    rows: tuple[BadRow, ...] = ()
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Bad rows of each kind that occurs."""
        found: Counter[str] = Counter(row.kind for row in self.rows)
        return {kind: found[kind] for kind in KINDS if kind in found}

    def words(self) -> str:
        """How many of how many, and of which kinds, in one clause."""
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in self.counts().items())
        return f"{len(self.rows):,} of {self.read:,} rows ({kinds})"

    def lines(self) -> list[str]:
        """One line for each kind and source: how many, the first places, and the first reason."""
        grouped: dict[tuple[str, str, str], list[BadRow]] = {}
        for row in self.rows:
            grouped.setdefault((row.kind, row.source, row.unit), []).append(row)
        out = []
        for kind, source, unit in sorted(grouped, key=lambda key: (KINDS.index(key[0]), key[1])):
            rows = grouped[kind, source, unit]
            if len(rows) == 1:
                out.append(f"{kind}: {source}, {unit} {rows[0].place}: {rows[0].reason}")
                continue
            places = ", ".join(str(row.place) for row in rows[:LISTED])
            more = f" and {len(rows) - LISTED:,} more" if len(rows) > LISTED else ""
            first = f"the first: {rows[0].reason}"
            out.append(f"{kind}, {len(rows):,}: {source}, {unit}s {places}{more}; {first}")
        return out

    def record(self) -> dict[str, Any]:
        """The same as JSON values: of each kind the count, and the first places with their reasons."""
        kinds: dict[str, Any] = {}
        for kind, n in self.counts().items():
            first = [row for row in self.rows if row.kind == kind][:LISTED]
            listed = [{"source": r.source, r.unit: r.place, "reason": r.reason} for r in first]
            kinds[kind] = {"count": n, "first": listed}
        return {"read": self.read, "bad": len(self.rows), "kinds": kinds}


def refuse(name: str, bad: BadRows, key: str = "task") -> None:
    """Raise DataError that lists the bad rows of `name`, if there are any. `key` is where its options are set."""
    if bad.rows:
        raise DataError(
            f"`{name}`: {bad.words()} cannot be used.",
            f"Mend them, or leave them out with `{key}.bad_rows=skip`.",
            bad.lines(),
        )


def said(bad: BadRows, where: str = "") -> list[str]:
    """What a person should know of rows that were left out; `where` says where they are listed."""
    return [*bad.notes, *([f"left out {bad.words()}{where}"] if bad.rows else [])]


def of_files(task: Any) -> Iterator[Any]:
    """The tasks within `task`, which may be a mixture, that were read from files and know their `bad` rows."""
    for part in getattr(task, "tasks", (task,)):
        if part is not task:
            yield from of_files(part)
        elif hasattr(part, "bad"):
            yield part
