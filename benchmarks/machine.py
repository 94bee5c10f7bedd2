"""What a figure was measured on, and how figures are written down."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch


def facts(device: torch.device) -> dict[str, Any]:
    """The machine and the versions, as JSON values."""
    versions = {}
    for name in ("torch", "transformers", "trl"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "python": platform.python_version(),
        **versions,
    }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and most of repeated measurements, and all of them."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "all": [round(v, 5) for v in values],
    }


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def write(path: str | None, body: Mapping[str, Any]) -> None:
    """Write `body` as JSON to `path`, if one was asked for."""
    if path is not None:
        Path(path).write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        print(f"\nwritten to {path}")
