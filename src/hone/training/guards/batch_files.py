"""A batch as files: arrays as safetensors, structure as JSON, nothing that runs code when it is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hone.core.batch import Batch
from hone.core.errors import GuardError
from hone.core.problem import Problem, Verdict
from hone.core.trajectory import Segment, Trajectory

ARRAYS, STRUCTURE = "batch.safetensors", "batch.json"
FIELDS = (
    *("groups", "lengths", "rollout_of", "behaviour_logprobs", "ok", "kept", "rewards", "parts", "attempts"),
    *("token_rewards", "old_logprobs", "reference_logprobs", "values", "local_advantages", "targets"),
    *("advantages", "returns", "weights"),
)


def write_batch(batch: Batch, folder: Path) -> None:
    """Write batch.safetensors and batch.json: every segment once, with the index of its parent.

    `segment_tokens` and `segment_logprobs` (0 where a segment was not sampled) hold all segments one after another.
    Parsed answers of verdicts, which may be any object, become text.
    """
    index: dict[int, int] = {}
    segments: list[Segment] = []
    for segment in (s for t in batch.trajectories for s in t.segments):
        if id(segment) not in index:
            index[id(segment)] = len(segments)
            segments.append(segment)
    arrays = {name: value for name in FIELDS if (value := getattr(batch, name)) is not None}
    logprobs = [np.zeros(len(s.tokens), np.float32) if s.logprobs is None else s.logprobs for s in segments]
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in arrays.items()}
    tensors["segment_tokens"] = torch.from_numpy(np.concatenate([s.tokens for s in segments]))
    tensors["segment_logprobs"] = torch.from_numpy(np.concatenate(logprobs))
    save_file(tensors, folder / ARRAYS)
    body = {
        "segments": [
            {
                "kind": s.kind,
                "length": len(s.tokens),
                "parent": None if s.parent is None else index[id(s.parent)],
                "role": s.role,
                "version": s.version,
            }
            for s in segments
        ],
        "trajectories": [
            {
                "problem": _plain(t.problem),
                "leaf": index[id(t.leaf)],
                "text": t.text,
                "finish_reason": t.finish_reason,
                "labels": dict(t.labels),
                "sampler": dict(t.sampler),
                "verdict": None if t.verdict is None else _plain(t.verdict),
                "readings": dict(t.readings),
            }
            for t in batch.trajectories
        ],
        "readings": dict(batch.readings),
    }
    text = json.dumps(body, ensure_ascii=False, default=str)
    (folder / STRUCTURE).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _plain(part: Problem | Verdict) -> dict[str, Any]:
    return {k: dict(v) if k in ("meta", "parts") else v for k, v in vars(part).items()}


def read_batch(folder: Path) -> Batch:
    """The batch that `write_batch` wrote. Raises GuardError if its files are missing or damaged."""
    try:
        tensors = load_file(folder / ARRAYS)
        body = json.loads((folder / STRUCTURE).read_text(encoding="utf-8"))
        return _batch(tensors, body)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise GuardError(
            f"The batch in {folder} cannot be read: {type(error).__name__}: {error}.", "Take another bundle."
        ) from None


def _batch(tensors: dict[str, Any], body: dict[str, Any]) -> Batch:
    tokens, logprobs = tensors.pop("segment_tokens").numpy(), tensors.pop("segment_logprobs").numpy()
    segments: list[Segment] = []
    start = 0
    for entry in body["segments"]:
        end = start + entry["length"]
        segments.append(
            Segment(
                tokens[start:end],
                entry["kind"],
                None if entry["parent"] is None else segments[entry["parent"]],
                logprobs[start:end] if entry["kind"] == "action" else None,
                entry["role"],
                entry["version"],
            )
        )
        start = end
    trajectories = []
    for entry in body["trajectories"]:
        problem, verdict = entry.pop("problem"), entry.pop("verdict")
        if not isinstance(problem["prompt"], str):
            problem["prompt"] = tuple(problem["prompt"])
        trajectories.append(
            Trajectory(
                **entry | {"leaf": segments[entry["leaf"]]},
                problem=Problem(**problem),
                verdict=None if verdict is None else Verdict(**verdict),
            )
        )
    return Batch(trajectories=tuple(trajectories), readings=body.get("readings", {}), **tensors)
