"""Checkpoints: everything a run needs to go on, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from hone.core.errors import CheckpointError
from hone.core.stages import State
from hone.policies.token_policy import TokenPolicy
from hone.training import disk, states
from hone.training.optimizer import load_optimizer_tensors, optimizer_tensors

FORMAT = 2
STATE, TENSORS, STAGES = "trainer.json", "trainer.safetensors", "stages.safetensors"


@dataclass(frozen=True)
class TrainerState:
    """What is not the model's or the optimizer's: counters, the state of stages, file lengths, and where it comes from.

    `recipe` is the resolved one; `digest` names those of its keys that decide what a step computes.
    """

    step: int
    version: int
    ledger: Mapping[str, int | float]
    stages: Mapping[str, State]  # of each stage that has one
    lengths: Mapping[str, int]
    recipe: Mapping[str, Any]
    digest: str
    versions: Mapping[str, str]
    seconds: float  # that the run has taken, over all its sessions up to here
    evaluated: int = -1  # the step of the latest evaluation; -1: none yet
    best: Mapping[str, Any] | None = None  # see retention.Best
    memory: Mapping[str, int] = field(default_factory=dict)  # what shortages of memory have left: see Session
    fingerprint: str = ""  # of the weights: see `policies.fingerprint`


def save(folder: Path, policy: TokenPolicy, optimizer: torch.optim.Optimizer, state: TrainerState) -> Path:
    """Write `folder/<step>`. Until it is whole nothing else in `folder` is touched.

    An error of the disk is raised as it came; see `disk.refusal`.
    """
    target = path_of(folder, state.step)
    tensors: dict[str, torch.Tensor] = {}
    stages = states.split(state.stages, tensors)
    with disk.whole_folder(target) as beside:
        policy.save(beside)
        save_file(optimizer_tensors(optimizer), beside / TENSORS)
        save_file(tensors, beside / STAGES)
        sums = {p.relative_to(beside).as_posix(): _sha256(p) for p in beside.rglob("*") if p.is_file()}
        # Through JSON, so that the checksum is that of what will be read.
        body = json.loads(json.dumps({"format": FORMAT, **vars(state), "stages": stages, "sha256": sums}))
        body["own_sha256"] = _own(body)
        (beside / STATE).write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    return target


def drop(folder: Path, keep: set[int]) -> None:
    """Delete the checkpoints of `folder` but those of `keep`, and what unfinished writes have left."""
    for step in steps(folder):
        if step not in keep:
            disk.remove(disk.standing(path_of(folder, step)))
    disk.sweep(folder)


def path_of(folder: Path, step: int) -> Path:
    """The checkpoint of a step."""
    return folder / f"{step:06d}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own(body: Mapping[str, Any]) -> str:
    """A checksum of trainer.json's own content."""
    text = json.dumps({k: v for k, v in body.items() if k != "own_sha256"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def steps(folder: Path) -> list[int]:
    """Steps with a whole checkpoint, oldest first."""
    if not folder.is_dir():
        return []
    names = {p.name.removeprefix(".").removesuffix(f".{disk.OLD}") for p in folder.iterdir()}
    numbers = [int(name) for name in names if name.isdigit()]
    return sorted(n for n in numbers if (disk.standing(path_of(folder, n)) / STATE).is_file())


@dataclass(frozen=True)
class Found:
    """The newest good checkpoint, and the newer ones that were passed over, each with what is wrong with it."""

    path: Path
    state: TrainerState
    damaged: Mapping[Path, str]


def newest(folder: Path, sizes: Mapping[str, int] | None = None) -> Found:
    """The newest checkpoint whose files match their checksums, and whose logs are as long as it counted.

    `sizes` are the present lengths of the logs; None does not compare them. Raises CheckpointError if there is none,
    and for one of another format.
    """
    damaged: dict[Path, str] = {}
    for step in reversed(steps(folder)):
        path = disk.standing(path_of(folder, step))
        try:
            body = json.loads((path / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            damaged[path] = f"{STATE}: {error}"
            continue
        problem = _altered(body, step)
        if not problem:
            _check_format(path, body)
            problem = _damage(path, body) or _short(body, sizes)
        if not problem:
            return Found(path, _state(path, body), damaged)
        damaged[path] = problem
    detail = "; ".join(f"{path.name}: {problem}" for path, problem in damaged.items())
    raise CheckpointError(
        f"{folder} holds no usable checkpoint{f' ({detail})' if detail else ''}.",
        "Start the run anew with another `--out`.",
    )


def _altered(body: Any, step: int) -> str:
    """What is wrong with trainer.json by its own checksum, or ''; formats before 2 had none."""
    sound = isinstance(body, dict) and isinstance(body.get("format"), int) and body.get("step") == step
    if sound and (body["format"] < 2 or body.get("own_sha256") == _own(body)):
        return ""
    return f"{STATE} does not match its checksum"


def _check_format(path: Path, body: Mapping[str, Any]) -> None:
    """Raise CheckpointError for a format that this hone does not read."""
    known = body["format"]
    if known != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {known}, this hone reads format {FORMAT}.",
            f"Resume it with the hone that wrote it, or start a new run from its weights: `model={path}`.",
        )


def _damage(path: Path, body: Mapping[str, Any]) -> str:
    """What is wrong with a checkpoint's other files, or ''."""
    for name, digest in body["sha256"].items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if _sha256(path / name) != digest:
            return f"{name} does not match its checksum"
    return ""


def _short(body: Mapping[str, Any], sizes: Mapping[str, int] | None) -> str:
    """Which log has lost lines that a checkpoint counted, or ''."""
    for name, length in body["lengths"].items():
        if sizes is not None and sizes.get(name, 0) < length:
            return f"{name} has {sizes.get(name, 0)} bytes, the checkpoint counted {length}"
    return ""


def _state(path: Path, body: Mapping[str, Any]) -> TrainerState:
    known = {key: body[key] for key in TrainerState.__dataclass_fields__}
    return TrainerState(**known | {"stages": states.joined(body["stages"], load_file(path / STAGES))})


def load_optimizer(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's optimizer state back."""
    load_optimizer_tensors(optimizer, load_file(path / TENSORS))
