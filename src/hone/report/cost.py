"""What a run cost, by phase: seconds, operations, bytes, price, tokens that sharing saved, work that was lost."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hone.report.data import RunData, number, total
from hone.report.words import count, duration, figure, percent

# (word, key of seconds_by_phase, phase in flops/ and bytes/)
PHASES = (
    ("sampling", "sample", "sampling"),
    ("rewards", "reward", ""),
    ("scoring", "score", "scoring"),
    ("training", "train", "training"),
    ("all steps", "step", ""),
    ("evaluation", "eval", "eval"),
)


def phases(run: RunData) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """Seconds, operations and bytes of every phase that has any; no rows where none of them was counted."""
    found = run.summary.get("seconds_by_phase")
    seconds = found if isinstance(found, Mapping) else {}
    operations = total(run, "flops")
    rows = []
    for word, key, phase in PHASES:
        flops = operations if key == "step" else total(run, f"flops/{phase}") if phase else math.nan
        moved = total(run, f"bytes/{phase}") if phase else math.nan
        spent = number(seconds, key)
        if not any(value > 0 for value in (spent, flops, moved)):
            continue
        share = (
            f"{percent(flops / operations)} of the steps"
            if phase not in ("", "eval") and operations > 0
            else ""
        )
        rows.append([(word, ""), (duration(spent), ""), (count(flops), share), (count(moved), "")])
    kept = [at for at in range(4) if at == 0 or any(row[at][0] != "–" for row in rows)]
    heads = ["phase", "time", "FLOPs", "bytes"]
    return [heads[at] for at in kept], [[row[at] for at in kept] for row in rows]


def facts(run: RunData) -> list[tuple[str, str]]:
    """Price, tokens computed and saved by sharing, and lost work, where they were counted."""
    pairs = []
    if math.isfinite(price := number(run.summary, "price")):
        pairs.append(("price", figure(price)))
    for word, computed, shared in (("prompt tokens", "prompt_tokens", "shared_prompt_tokens"),
                                   ("training tokens", "trained_tokens", "shared_trained_tokens")):  # fmt: skip
        done, saved = total(run, computed), total(run, shared)
        if saved > 0:
            pairs.append((word, f"{count(done)} computed, {count(saved)} saved by sharing"))
    for word, key, words in (
        ("rollouts done again", "redone_rollouts", count), ("tokens done again", "redone_tokens", count),
        ("time lost", "redone_seconds", duration), ("tokens thrown away", "lost_tokens", count),
    ):  # fmt: skip
        if (value := number(run.summary, key)) > 0:
            pairs.append((word, words(value)))
    return pairs
