"""Work that a stop has lost and a resumed run does again: recorded beside the run, and counted in its ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hone.compute.ledger import Ledger
from hone.training import disk
from hone.training.folder import Cut, RunFolder

FILE = "lost.jsonl"  # no checkpoint knows of it: what was lost stays lost, whatever step a run goes on from


def record_cut(folder: RunFolder, cuts: Sequence[Cut], at: Mapping[str, int | float]) -> None:
    """Record what a resumption with the ledger `at` is about to cut off: whole steps and evaluations.

    A step that was under way when the process ended is not known, and so not in it.
    """
    known = {line.get("cut") for line in folder.read(FILE)}  # by a resumption that was killed while it cut
    for cut in cuts:
        lines = cut.lines()
        if not lines or cut.aside.name in known:
            continue
        if cut.name == "metrics.jsonl":
            spent = {key: lines[-1][key] - at.get(key, 0) for key in ("rollouts", "sampled_tokens")}
            _record(folder, {"cut": cut.aside.name}, spent, sum(line["time/step"] for line in lines))
        elif cut.name == "eval.jsonl":
            tokens = sum(line["tokens"] for line in lines)
            seconds = sum(line["time/eval"] for line in lines)
            _record(folder, {"cut": cut.aside.name}, {"rollouts": 0, "sampled_tokens": tokens}, seconds)


def record_step(folder: RunFolder, step: int, spent: Mapping[str, int | float], seconds: float) -> None:
    """Record that `step` was given up, after `spent` was charged to the ledger for it."""
    _record(folder, {"given_up": step}, spent, seconds)


def _record(
    folder: RunFolder, what: Mapping[str, Any], spent: Mapping[str, int | float], seconds: float
) -> None:
    counts = {"rollouts": spent["rollouts"], "tokens": spent["sampled_tokens"], "seconds": round(seconds, 4)}
    lines = [*folder.read(FILE), {**what, **counts}]
    disk.write_whole(folder.path / FILE, "".join(json.dumps(line) + "\n" for line in lines))


def charge(folder: RunFolder, ledger: Ledger) -> None:
    """Bring the ledger's count of lost work to what is recorded."""
    lines = folder.read(FILE)
    ledger.redone_rollouts = sum(line["rollouts"] for line in lines)
    ledger.redone_tokens = sum(line["tokens"] for line in lines)
    ledger.redone_seconds = round(sum(line["seconds"] for line in lines), 4)
