"""What a page says in words: headline, tiles, and what deserves attention, computed from the numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hone.report.data import (
    Estimate,
    Row,
    RunData,
    before_after,
    column,
    estimate,
    ks,
    method_of,
    number,
    seconds,
    total,
)
from hone.report.words import count, duration, figure, percent, shorten

MISMATCH_ALARM = 1e-2
STATUSES = ("ok", "error", "timeout", "not_applicable")


@dataclass(frozen=True)
class Headline:
    """The story at a glance: a measured `name`, its values, and what they cost."""

    name: str
    before: str
    after: str
    deck: str
    verdict: str

    def line(self) -> str:
        """All of it in one line."""
        change = " → ".join(part for part in (self.before, self.after) if part)
        return f"{self.name} {change} {self.deck}".strip()


@dataclass(frozen=True)
class Tile:
    """A number that changed. `before` or `after` may be empty."""

    name: str
    before: str
    after: str
    detail: str


def headline(run: RunData) -> Headline:
    """pass@1 before and after, on what, at what cost; a run without evaluations tells its training pass rate."""
    before, after = before_after(run)
    row = after or before
    cost = cost_line(run)
    if row is not None and estimate(row, "pass@1"):
        first, last = estimate(before, "pass@1"), estimate(after, "pass@1")
        where = f"on {count(number(row, 'problems'))} held-out {shorten(str(row.get('task', '')), 60)[0]} problems"
        if row.get("split") == "train":
            where = where.replace("held-out", "training")
        shown = [percent(e.value) if e else "" for e in (first, last)]
        return Headline(
            "pass@1", shown[0], shown[1], f"{where}{', in ' + cost if cost else ''}", change(first, last)
        )
    rates = column(run.metrics, "pass_rate")
    rates = rates[np.isfinite(rates)]
    if not len(rates):
        return Headline(run.name, "", "", cost, "Nothing has been measured yet.")
    edge = max(1, len(rates) // 10)
    return Headline(
        "training pass rate", percent(rates[:edge].mean()), percent(rates[-edge:].mean()), f"in {cost}",
        "First and last tenth of the steps. No held-out evaluation was made, so this says nothing about new problems.",
    )  # fmt: skip


def cost_line(run: RunData) -> str:
    """Time and tokens of the training."""
    parts = []
    if math.isfinite(seconds(run)):
        parts.append(duration(seconds(run)))
    if math.isfinite(tokens := total(run, "sampled_tokens")):
        parts.append(f"{count(tokens)} sampled tokens")
    return " and ".join(parts)


def change(before: Estimate | None, after: Estimate | None) -> str:
    """Whether the intervals before and after are apart, in a sentence."""
    if before is None or after is None:
        return "Measured once so far." if before or after else ""
    spans = f"95% intervals {span(before)} before and {span(after)} after"
    if not all(math.isfinite(v) for v in (before.low, before.high, after.low, after.high)):
        return "No intervals were recorded."
    if after.low > before.high:
        return f"{spans}: apart, a clear gain."
    if after.high < before.low:
        return f"{spans}: apart, a clear loss."
    return f"{spans}: they overlap, so a change is not established by this alone."


def span(e: Estimate) -> str:
    """The interval in whole percent, as `28–34%`."""
    if not (math.isfinite(e.low) and math.isfinite(e.high)):
        return "no interval"
    return f"{100 * e.low:.0f}–{100 * e.high:.0f}%"


def tiles(run: RunData) -> list[Tile]:
    """The numbers that changed: the largest k of each family, problems always and never solved, answer length."""
    before, after = before_after(run)
    found = []
    for family in ("pass", "maj", "worst"):
        every = sorted(set(ks(before, family)) | set(ks(after, family)))
        if not every or every[-1] == 1:
            continue
        key = f"{family}@{every[-1]}"
        first, last = estimate(before, key), estimate(after, key)
        detail = " → ".join(span(e) for e in (first, last) if e)
        found.append(
            Tile(key, percent(first.value) if first else "", percent(last.value) if last else "", detail)
        )
    for name, test in (("never solved", 0.0), ("always solved", 1.0)):
        shares = [_share(row, test) for row in (before, after)]
        if any(shares):
            found.append(
                Tile(name, shares[0], shares[1], f"of problems, in {_samples(before or after)} samples each")
            )
    lengths = [figure(number(row, "length")) if row and "length" in row else "" for row in (before, after)]
    if any(lengths):
        found.append(Tile("answer length", lengths[0], lengths[1], "tokens on average, held out"))
    return found


def facts(run: RunData) -> list[tuple[str, str]]:
    """What was run, in short (name, value) pairs."""
    recipe = run.recipe
    pairs = [
        ("task", _short(recipe.get("task"))), ("model", _short(recipe.get("model"))), ("method", method_of(run)),
        ("a step", _step_words(recipe)), ("steps", count(number(run.metrics[-1], "step")) if run.metrics else ""),
        ("rollouts", count(total(run, "rollouts"))), ("sampled tokens", count(total(run, "sampled_tokens"))),
        ("time", duration(seconds(run))), ("seed", _short(recipe.get("seed"))),
    ]  # fmt: skip
    return [(name, value) for name, value in pairs if value not in ("", "–")]


def attention(run: RunData) -> list[str]:
    """What a careful reader must know before believing the page: gaps in the folder and signs of trouble."""
    notes = list(run.notes)
    if run.summary.get("finished") is False:
        notes.append("The run has not finished: everything here is as of its last complete step.")
    before, after = before_after(run)
    for key in (f"pass@{k}" for k in ks(after) if k in ks(before)):
        first, last = estimate(before, key), estimate(after, key)
        if first and last and last.high < first.low:
            notes.append(f"{key} fell from {percent(first.value)} to {percent(last.value)}, intervals apart.")
    bad = {s: v for s, v in statuses(run).items() if s != "ok" and v > 0}
    if bad:
        listed = ", ".join(f"{count(v)} {s.replace('_', ' ')}" for s, v in bad.items())
        notes.append(
            f"Rollouts without a verdict: {listed}. They are left out of statistics, not counted as wrong."
        )
    mismatch = column(run.metrics, "mismatch/k3")
    if np.isfinite(mismatch).any() and (worst := float(np.nanmax(mismatch))) > MISMATCH_ALARM:
        notes.append(
            f"Sampler and trainer disagreed: k3 reached {figure(worst)} nats, above {MISMATCH_ALARM}."
        )
    truncated = number(after, "truncated") if after else math.nan
    if truncated > 0.05:
        notes.append(
            f"{percent(truncated)} of the held-out answers after training were cut off by the length limit."
        )
    return notes


def statuses(run: RunData) -> dict[str, float]:
    """How many rollouts of the run ended with each status; empty if it was not recorded."""
    sums = {s: column(run.metrics, f"status/{s}") for s in STATUSES}
    return {s: float(np.nansum(v)) for s, v in sums.items() if np.isfinite(v).any()}


def flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The recipe as (dotted key, value) rows."""
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            rows += flat(item, f"{name}.")
        else:
            rows.append((name, _short(item)))
    return rows


def _short(value: Any) -> str:
    if value is None or (isinstance(value, Mapping) and not value):
        return "" if value is None else "{}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return str(value.get("name") or value.get("id") or ", ".join(f"{k}={v}" for k, v in value.items()))
    return str(value)[:2000]


def _step_words(recipe: Mapping[str, Any]) -> str:
    problems, group = recipe.get("problems_per_step"), recipe.get("num_generations")
    return f"{problems} problems × {group} rollouts" if problems and group else ""


def _samples(row: Row | None) -> str:
    return count(number(row, "samples")) if row else "–"


def _share(row: Row | None, value: float) -> str:
    rates = row.get("rates") if row else None
    if not isinstance(rates, list) or not rates:
        return ""
    return percent(sum(rate == value for rate in rates) / len(rates))
