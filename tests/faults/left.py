"""What a run leaves, that must be the same however often it was stopped: all but timings and lost work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hone.training import checkpoint
from hone.training.run import Run

LOST = ("redone_rollouts", "redone_tokens", "redone_seconds")


def untimed(line: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if not key.startswith("time/")}


def counted(ledger: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in ledger.items() if key not in LOST}


def left_by(out: Path) -> dict[str, Any]:
    """Weights, optimizer, stages, ledger, best, logs and the steps of the checkpoints that were kept."""
    run, folder = Run(out), out / "checkpoints"
    last = checkpoint.path_of(folder, checkpoint.steps(folder)[-1])
    state = json.loads((last / checkpoint.STATE).read_text())
    summary = json.loads((out / "summary.json").read_text())
    return {
        "files": {
            str(path.relative_to(out)): path.read_bytes()
            for path in (*last.iterdir(), *run.final.iterdir())
            if path.suffix == ".safetensors"
        },
        "metrics": [untimed(line) for line in run.metrics()],
        "evals": [untimed(line) for line in run.evals()],
        "samples": (out / "samples.jsonl").read_text(),
        "ledger": counted(state["ledger"]),
        "summary": {k: v for k, v in counted(summary).items() if not k.startswith("seconds")},
        "state": {k: state[k] for k in ("step", "version", "stages", "evaluated", "best", "digest")},
        "checkpoints": checkpoint.steps(folder),
        "hidden": sorted(p.name for p in out.rglob(".*") if p.is_dir()),
    }
