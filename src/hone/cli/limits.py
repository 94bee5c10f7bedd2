"""Shares and differences with their 95% limits, as rich markup."""

from __future__ import annotations


def share(value: float | None, low: float | None, high: float | None) -> str:
    """`12.5% [10.0%, 15.0%]`; without limits where there are none, a dash where there is no value."""
    from hone.report.words import percent

    if value is None:
        return "–"
    return percent(value, 1) + (
        "" if low is None or high is None else rf" \[{percent(low, 1)}, {percent(high, 1)}]"
    )


def gap(value: float | None, low: float | None, high: float | None) -> str:
    """`+2.1 [−0.4, +4.6]` in points."""
    from hone.report.words import points

    if value is None:
        return "–"
    return points(value) + ("" if low is None or high is None else rf" \[{points(low)}, {points(high)}]")
