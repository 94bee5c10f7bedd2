"""The closing summary: what improved, by how much, at what cost, and where to look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from hone.cli import limits, terminal
from hone.evals import Interval, cluster_bootstrap, pass_at_k
from hone.report.words import count, duration, percent, points
from hone.training.folder import RunFolder

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A metric before and after training; `difference` is paired over problems, None where it cannot be."""

    metric: str
    before: Interval
    after: Interval
    difference: Interval | None


def changes(before: Line, after: Line) -> list[Change]:
    """pass@k for every k that both evaluations have."""
    found = [name for name in after if name.startswith("pass@") and name in before]
    return [
        Change(name, _interval(before[name]), _interval(after[name]), _paired(name, before, after))
        for name in found
    ]


def _interval(value: Mapping[str, float]) -> Interval:
    return Interval(value["value"], value["low"], value["high"])


def _paired(metric: str, before: Line, after: Line) -> Interval | None:
    """The difference over the same problems; None if they differ, if samples were left out, or if too few changed.

    A bootstrap over fewer than 5 problems that changed sees too little to state limits.
    """
    same = all(before[key] == after[key] for key in ("task", "split", "problems", "samples"))
    if not same or "not_ok" in before or "not_ok" in after:
        return None
    k, n = int(metric.removeprefix("pass@")), int(after["samples"])
    values = [pass_at_k(n, np.rint(np.asarray(line["rates"]) * n).astype(int), k) for line in (after, before)]
    gaps = np.asarray(values[0]) - np.asarray(values[1])
    return cluster_bootstrap(gaps) if np.count_nonzero(gaps) >= 5 else None


def sentence(change: Change, line: Line) -> str:
    """What happened to one metric, judged by the interval of its difference."""
    where = f"{change.metric} on {line['problems']:,} held-out problems of {line['task']}"
    went = f"{percent(change.before.value, 1)} → {percent(change.after.value, 1)}"
    d = change.difference
    if d is None:
        return f"{where}: {went}; too few problems changed, or were measured alike, to judge the difference."
    amount = f"{points(d.value)} points, 95% interval {points(d.low)} to {points(d.high)}"
    if d.low > 0:
        return f"Better: {where}: {went} ({amount})."
    if d.high < 0:
        return f"Worse: {where}: {went} ({amount})."
    return f"No clear change: {where}: {went} ({amount})."


def cost(summary: Mapping[str, Any]) -> str:
    """Rollouts, tokens and seconds of a run."""
    parts = [f"{count(summary['updates'])} updates", duration(summary["seconds"])]
    if summary["sampled_tokens"]:
        parts.insert(0, f"{count(summary['sampled_tokens'])} sampled tokens")
    parts.insert(
        0, f"{count(summary['rollouts'])} {'rollouts' if summary['sampled_tokens'] else 'demonstrations'}"
    )
    return ", ".join(parts) + f" (and {count(summary['eval_tokens'])} tokens sampled for evaluation)"


def redone(summary: Mapping[str, Any]) -> str:
    """What stops have lost and the run has done again; it is not in its cost."""
    return (
        f"{count(summary['redone_rollouts'])} rollouts and {count(summary['redone_tokens'])} sampled tokens, "
        f"{duration(summary['redone_seconds'])} of work, were done again after stops"
    )


def abstractions(found: Mapping[str, Any]) -> str:
    """What abstractions were worth at the end."""
    share = {name: percent(value["value"], 1) for name, value in found["success"].items()}
    return (
        f"pass@1 with an abstraction {share['avg']}, with none {share['w/o']}, with the best of "
        f"{found['abstractions']} {share['best']} (an oracle's choice)"
    )


def show(folder: Path, evals: Sequence[Line], summary: Mapping[str, Any]) -> None:
    """Print the summary of a finished run."""
    terminal.say("")
    if evals:
        last, first = evals[-1], evals[0]
        found = changes(first, last) if first["step"] == 0 and len(evals) > 1 else []
        if found:
            clear = found[0].difference is not None and found[0].difference.low > 0
            terminal.say(sentence(found[0], last), "bold green" if clear else "bold")
            terminal.show_figures(_table(found))
        else:
            terminal.say(words_of(last), "bold")
        if "abstractions" in last:
            terminal.say(f"hints    {abstractions(last['abstractions'])}")
    terminal.say(f"cost     {cost(summary)}")
    if summary.get("redone_seconds"):
        terminal.say(f"lost     {redone(summary)}", "yellow")
    if summary.get("shortages"):
        times = "once" if summary["shortages"] == 1 else f"{summary['shortages']} times"
        terminal.say(
            f"memory   ran out {times}, see {folder / 'events.jsonl'}; the run is not bit-identical", "yellow"
        )
    tripped = Counter(e["guard"] for e in RunFolder(folder).read("events.jsonl") if e["event"] == "guard")
    if tripped:
        names = ", ".join(f"{name} {times}" for name, times in sorted(tripped.items()))
        terminal.say(f"guards   tripped ({names}), see {folder / 'events.jsonl'}", "yellow")
    terminal.say(f"model    {RunFolder(folder).final}")


def words_of(line: Line) -> str:
    """An evaluation with nothing to compare it to."""
    found = [
        f"{name} {percent(value['value'], 1)}" for name, value in line.items() if name.startswith("pass@")
    ]
    return f"After training, on {line['problems']:,} held-out problems of {line['task']}: {', '.join(found)}."


def _table(found: Sequence[Change]) -> Table:
    shown = terminal.figures("", "", "before", "after", "change (points)")
    for change in found:
        d = change.difference
        moved = "" if d is None else f"{points(d.value)} [{points(d.low)}, {points(d.high)}]"
        shown.add_row(change.metric, share(change.before), share(change.after), moved.replace("[", r"\["))
    return shown


def share(value: Interval) -> str:
    """A share with its interval, as rich markup."""
    return limits.share(*value)
