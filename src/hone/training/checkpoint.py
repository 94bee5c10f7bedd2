"""Checkpoints: everything a run needs to go on, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from hone.core.errors import CheckpointError
from hone.policies.token_policy import TokenPolicy
from hone.training.optimizer import load_optimizer_tensors, optimizer_tensors

FORMAT = 1
STATE, TENSORS = "trainer.json", "trainer.safetensors"


@dataclass(frozen=True)
class TrainerState:
    """What is not a tensor: counters, stage state, file lengths, and which recipe it belongs to."""

    step: int
    version: int
    ledger: Mapping[str, int]
    curriculum: Mapping[str, Any]
    lengths: Mapping[str, int]
    digest: str
    seconds: float  # that the run has taken, over all its sessions up to here
    finished: bool = False
    memory: Mapping[str, int] = field(default_factory=dict)  # what shortages of memory have left: see Session
    guards: Mapping[str, Any] = field(
        default_factory=dict
    )  # what guards remember: see `guards.readings.Past`
    fingerprint: str = ""  # of the weights: see `policies.fingerprint`


def save(
    folder: Path, policy: TokenPolicy, optimizer: torch.optim.Optimizer, state: TrainerState, keep_last: int
) -> Path:
    """Write `folder/<step>` through a temporary folder and a rename, then drop all but the newest `keep_last`."""
    target = folder / f"{state.step:06d}"
    beside = folder / f".{target.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    policy.save(beside)
    save_file(optimizer_tensors(optimizer), beside / TENSORS)
    files = sorted(p for p in beside.iterdir() if p.is_file())
    body = {
        "format": FORMAT,
        "step": state.step,
        "version": state.version,
        "ledger": dict(state.ledger),
        "curriculum": dict(state.curriculum),
        "lengths": dict(state.lengths),
        "digest": state.digest,
        "seconds": state.seconds,
        "finished": state.finished,
        "memory": dict(state.memory),
        "guards": dict(state.guards),
        "fingerprint": state.fingerprint,
        "sha256": {p.name: _sha256(p) for p in files},
    }
    (beside / STATE).write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    for path in beside.iterdir():
        _sync(path)
    if target.exists():
        shutil.rmtree(target)
    beside.replace(target)
    _sync(folder)
    for old in steps(folder)[:-keep_last]:
        shutil.rmtree(folder / f"{old:06d}")
    return target


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def steps(folder: Path) -> list[int]:
    """Steps with a whole checkpoint, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit() and (p / STATE).is_file())


def newest(folder: Path) -> tuple[Path, TrainerState, list[str]]:
    """The newest checkpoint whose files match their checksums, and what was passed over on the way to it.

    Raises CheckpointError if there is none.
    """
    passed: list[str] = []
    for step in reversed(steps(folder)):
        path = folder / f"{step:06d}"
        problem = _damage(path)
        if not problem:
            return path, read_state(path), passed
        passed.append(f"checkpoint {path.name} is damaged ({problem})")
    detail = f" ({'; '.join(passed)})" if passed else ""
    raise CheckpointError(
        f"{folder} holds no usable checkpoint{detail}.", "Start the run anew with another `--out`."
    )


def _damage(path: Path) -> str:
    """What is wrong with a checkpoint's files, or ''."""
    try:
        body = json.loads((path / STATE).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        return f"{STATE}: {error}"
    for name, digest in body.get("sha256", {}).items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if _sha256(path / name) != digest:
            return f"{name} does not match its checksum"
    return ""


def read_state(path: Path) -> TrainerState:
    """trainer.json of a checkpoint. Raises CheckpointError for another format."""
    body = json.loads((path / STATE).read_text(encoding="utf-8"))
    if body.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {body.get('format')}, this hone reads {FORMAT}.",
            "Resume it with the hone that wrote it.",
        )
    keys = ("step", "version", "ledger", "curriculum", "lengths", "digest", "seconds", "finished")
    later = {key: body[key] for key in ("memory", "guards", "fingerprint") if key in body}
    return TrainerState(**{key: body[key] for key in keys}, **later)


def load_optimizer(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's optimizer state back."""
    load_optimizer_tensors(optimizer, load_file(path / TENSORS))
