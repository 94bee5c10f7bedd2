"""Tables of what abstractions were worth before and after a run: without, average, best, and splits of a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hone.report.data import Row, RunData, estimate, number, objects
from hone.report.story import span
from hone.report.words import count, percent

Table = tuple[list[str], list[list[tuple[str, str]]]]
KINDS = (("w/o", "without"), ("avg", "average of all"), ("best", "best of all (an oracle's choice)"))


def readings(run: RunData) -> list[tuple[float, Row]]:
    """The evaluations that say something of abstractions, with their steps."""
    found = [(number(row, "step", 0.0), row.get("abstractions")) for row in run.evals]
    return [(step, said) for step, said in found if isinstance(said, Mapping)]


def success(run: RunData) -> Table:
    """pass@1 without abstractions, with the average and with the best one, and pass@k without as what best is set
    against; a row an evaluation."""
    rows = readings(run)
    last: Any = rows[-1][1].get("success") if rows else {}
    fair = [name for name in (last if isinstance(last, Mapping) else {}) if name.startswith("w/o pass@")]
    names = [*KINDS, *((name, f"without, {name.removeprefix('w/o ')}") for name in fair)]
    table = []
    for step, said in rows:
        found = said.get("success")
        cells = [_cell(found if isinstance(found, Mapping) else {}, name) for name, _ in names]
        table.append([(count(step), ""), *cells])
    return ["step", *(words for _, words in names)], table


def allocation(run: RunData) -> Table:
    """At least one solution right, by budget (rows) and the number of abstractions it is spread over, at the end."""
    rows = readings(run)
    shares = objects(rows[-1][1].get("allocation")) if rows else ()
    spread = sorted({number(row, "abstractions") for row in shares})
    budgets = sorted({number(row, "budget") for row in shares})
    found = {(number(row, "budget"), number(row, "abstractions")): row for row in shares}
    table = [
        [(count(budget), ""), *(_cell(found.get((budget, m), {}), "success") for m in spread)]
        for budget in budgets
    ]
    return ["solutions in all", *(f"{count(m)} abstraction{'s' if m > 1 else ''}" for m in spread)], table


def _cell(row: Row, key: str) -> tuple[str, str]:
    value = estimate(row, key)
    return (percent(value.value, 1), span(value)) if value else ("–", "")
