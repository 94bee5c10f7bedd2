"""The rollouts a reader can look at: stored answers paired by problem, before and after, with their verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from hone.report import mazes
from hone.report.data import Row, RunData, number
from hone.report.words import clean, count, figure, shorten

SHOWN, TRAIN_SHOWN = 24, 12
TEXT_LIMIT, PROMPT_LIMIT = 4000, 1500


@dataclass(frozen=True)
class Answer:
    """One stored answer, ready to show. `kind` is good, bad, part or none; `sign` says the same without colour."""

    kind: str
    sign: str
    verdict: str
    text: str
    left_out: int
    tokens: str
    drawing: Markup | None = None
    more: str = ""


@dataclass(frozen=True)
class Pair:
    """A problem with its answer before and after training."""

    problem: str
    level: str
    prompt: str
    prompt_left_out: int
    before: Answer | None
    after: Answer | None

    @property
    def drawn(self) -> bool:
        """Whether its answers are drawings."""
        return any(a is not None and a.drawing is not None for a in (self.before, self.after))


def as_text(prompt: Any) -> str:
    """A prompt as one string; chat messages as `role: content`."""
    if isinstance(prompt, list):
        return "\n".join(
            f"{m.get('role', '?')}: {m.get('content', '')}" if isinstance(m, Mapping) else str(m)
            for m in prompt
        )
    return str(prompt)


def solved(sample: Row) -> bool:
    """Whether the answer got the full reward."""
    return sample.get("status", "ok") == "ok" and number(sample, "reward", 0.0) >= 1


def answer(sample: Row, others: Sequence[Row] = ()) -> Answer:
    """`sample` with its verdict. `others` are all stored answers to the same problem at the same step."""
    status, reward = str(sample.get("status", "ok")), number(sample, "reward")
    if status != "ok":
        kind, sign, verdict = "none", "!", f"no verdict: {shorten(status, 60)[0]}"
    elif math.isnan(reward):
        kind, sign, verdict = "none", "!", "no verdict: the reward is missing"
    elif reward >= 1:
        kind, sign, verdict = "good", "✓", "right"
    elif reward <= 0:
        kind, sign, verdict = "bad", "✗", "wrong"
    else:
        kind, sign, verdict = "part", "◐", f"reward {figure(reward)}"
    raw = str(sample.get("text", ""))
    drawing = None
    if sample.get("task") == "maze" and (rows := mazes.grid(as_text(sample.get("prompt", "")))):
        found = mazes.walk(rows, raw)
        drawing = mazes.draw(found, f"Maze, {verdict}: the walk {found.words}")
        verdict = f"{verdict}: {found.words}" if kind != "none" else verdict
    text, left_out = shorten(raw, TEXT_LIMIT)
    tokens = f"{count(number(sample, 'tokens'))} tokens" if "tokens" in sample else ""
    if sample.get("finish_reason") == "length":
        tokens += ", cut off by the length limit"
    more = f"{sum(map(solved, others))} of {len(others)} stored answers right" if len(others) > 1 else ""
    return Answer(kind, sign, verdict, text, left_out, tokens, drawing, more)


def pairs(run: RunData) -> list[Pair]:
    """Up to SHOWN held-out problems in stored order, with their first answer at step 0 and at the last step."""
    stored: dict[str, dict[str, list[Row]]] = {}
    held_out = [s for s in run.samples if s.get("split") != "train"]
    last = max((number(s, "step", 0.0) for s in held_out), default=0.0)
    for sample in held_out:
        step = number(sample, "step", -1.0)
        if step == 0 or (step == last and last > 0):
            when = "before" if step == 0 else "after"
            stored.setdefault(str(sample.get("problem")), {}).setdefault(when, []).append(sample)
    both = [s for s in stored.values() if len(s) == 2] or list(stored.values())
    return [_pair(sides) for sides in both[:SHOWN]]


def training(run: RunData) -> list[tuple[str, Pair]]:
    """Up to TRAIN_SHOWN rollouts of training, evenly taken over the run: (step, the rollout as one side of a pair)."""
    rows = [s for s in run.samples if s.get("split") == "train"]
    every = max(1, -(-len(rows) // TRAIN_SHOWN))
    return [(figure(number(row, "step")), _pair({"after": [row]})) for row in rows[::every]]


def _pair(sides: Mapping[str, list[Row]]) -> Pair:
    one = next(iter(sides.values()))[0]
    prompt, left_out = shorten(as_text(one.get("prompt", "")), PROMPT_LIMIT)
    before, after = (answer(sides[w][0], sides[w]) if w in sides else None for w in ("before", "after"))
    return Pair(
        clean(str(one.get("problem", ""))), figure(number(one, "level")), prompt, left_out, before, after
    )
