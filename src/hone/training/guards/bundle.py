"""A bundle: everything that a guard's finding came from, so that `hone replay` can look at it again.

| file | what |
|---|---|
| `recipe.yaml` | the run's settled recipe |
| `model/` | the weights before the optimizer step, in Hugging Face layout, with the value head |
| `optimizer.safetensors` | the optimizer's state before the step |
| `batch.safetensors`, `batch.json` | the step's batch: see `training.guards.batch_files` |
| `finding.json` | the guard, its readings, what guards remembered, versions of the software, the fingerprint |
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file

from hone.core.batch import Batch
from hone.core.errors import GuardError
from hone.policies.fingerprint import fingerprint
from hone.training import disk
from hone.training.folder import RunFolder
from hone.training.guards.batch_files import write_batch
from hone.training.guards.readings import Finding, Past, Readings
from hone.training.optimizer import optimizer_tensors
from hone.training.versions import versions

if TYPE_CHECKING:
    from hone.training.session import Session

FORMAT = 1
FINDING, MODEL, OPTIMIZER = "finding.json", "model", "optimizer.safetensors"


@dataclass(frozen=True)
class Evidence:
    """What a guard saw: its finding, the readings, the past it compared them with, and the rollouts of the look."""

    finding: Finding
    readings: Readings
    past: Past
    batch: Batch  # of the whole step
    chosen: tuple[int, ...]  # rollouts of `batch`


def keep(s: Session, evidence: Evidence) -> str | None:
    """Write a bundle into the run's folder; returns its path within it, or None where there is none, with a note.

    A run writes at most `guards.bundles`. A bundle of the same step and guard, which a resumed run meets again, stands.
    """
    name = f"bundles/{s.working_on:06d}-{evidence.finding.guard}"
    target = s.folder.path / name
    if target.is_dir():
        return name
    if not s.folder.path.is_dir():  # a bench without a folder
        return None
    written = [p for p in target.parent.glob("[0-9]*") if p.is_dir()]
    if len(written) >= s.recipe.guards.bundles:
        s.progress.note(
            f"no bundle of `{evidence.finding.guard}`: the run has {len(written)}, as many as `guards.bundles` allows"
        )
        return None
    try:
        with disk.whole_folder(target) as beside:
            _write(s, evidence, beside)
    except Exception as error:
        if not (said := disk.refusal(error)):
            raise
        # A full disk must not end a run that a guard only warns of.
        s.progress.note(f"the bundle of `{evidence.finding.guard}` could not be written: {said}")
        return None
    return name


def _write(s: Session, evidence: Evidence, folder: Path) -> None:
    RunFolder(folder).write_recipe(s.recipe.dump())
    (folder / MODEL).mkdir()
    s.policy.save(folder / MODEL)
    save_file(optimizer_tensors(s.optimizer), folder / OPTIMIZER)
    write_batch(evidence.batch, folder)
    body = {
        "format": FORMAT,
        "step": s.working_on,
        "guard": evidence.finding.guard,
        "says": evidence.finding.says,
        "readings": _storable(evidence.readings.known()),
        "past": evidence.past.state(),
        "chosen": list(evidence.chosen),
        "version": s.policy.version,
        "fingerprint": fingerprint(s.policy),
        "device": str(s.policy.device),
        "software": dict(versions()),
    }
    (folder / FINDING).write_text(json.dumps(body, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _storable(readings: Mapping[str, float | bool]) -> dict[str, Any]:
    """Readings as JSON, which has no word for what is not finite: it becomes text that `float` reads."""
    return {k: v if math.isfinite(v) else str(v) for k, v in readings.items()}


@dataclass(frozen=True)
class Stored:
    """finding.json as it is read back."""

    step: int
    finding: Finding
    readings: Readings
    past: Past
    chosen: tuple[int, ...]
    version: int
    fingerprint: str
    device: str
    software: Mapping[str, str]


def read_finding(folder: Path) -> Stored:
    """What a bundle says of itself. Raises GuardError if it is none, or of another format."""
    path = folder / FINDING
    if not path.is_file():
        raise GuardError(
            f"{folder} is no bundle: it has no {FINDING}.", "Bundles lie in `bundles/` of a run folder."
        )
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise GuardError(
            f"{path} is not JSON: {error}.", "The bundle is damaged; take another one."
        ) from None
    if body.get("format") != FORMAT:
        raise GuardError(
            f"{path} has bundle format {body.get('format')}, this hone reads {FORMAT}.",
            "Replay it with the hone that wrote it.",
        )
    readings: dict[str, Any] = {
        k: v if isinstance(v, bool) else float(v) for k, v in body["readings"].items()
    }
    return Stored(
        body["step"],
        Finding(body["guard"], body["says"]),
        Readings(**readings),
        Past(**body["past"]),
        tuple(body["chosen"]),
        body["version"],
        body["fingerprint"],
        body["device"],
        body["software"],
    )
