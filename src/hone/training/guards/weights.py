"""Weights carry a version and a fingerprint: what is recorded of them, and where the two must agree."""

from __future__ import annotations

from pathlib import Path

from hone.core.errors import CheckpointError, EngineError
from hone.core.sampling import Engine
from hone.policies.fingerprint import fingerprint
from hone.policies.token_policy import TokenPolicy
from hone.training.snapshot import SnapshotEngine


def weights_line(policy: TokenPolicy, engine: Engine) -> dict[str, str | int]:
    """`version` and `fingerprint` of the weights that an evaluation has sampled from.

    Raises EngineError if the engine samples from a copy that says it is of this version and has other weights.
    """
    mark = fingerprint(policy)
    if isinstance(engine, SnapshotEngine) and engine.policy.version == policy.version:
        copied = fingerprint(engine.policy)
        if copied != mark:
            raise EngineError(
                f"The engine's copy of the weights says version {policy.version}, but its fingerprint is {copied} and "
                f"the policy's {mark}.",
                "Report this: it is a bug.",
            )
    return {"version": policy.version, "fingerprint": mark}


def check_fingerprint(policy: TokenPolicy, recorded: str, path: Path) -> None:
    """Raise CheckpointError unless the weights loaded from `path` are those whose fingerprint was recorded there.

    An empty one is of a checkpoint from before there were any.
    """
    if recorded and (mark := fingerprint(policy)) != recorded:
        raise CheckpointError(
            f"The weights in {path} have the fingerprint {mark}, but its trainer.json was written for {recorded}: they "
            "were edited, converted or mixed up.",
            "Put the checkpoint's own files back, or delete its folder to resume from an older one.",
        )
