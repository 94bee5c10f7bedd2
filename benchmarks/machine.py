"""What the scripts share: their options, what a figure was measured on, and how figures are written down."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from hone.core.errors import HoneError
from hone.training.bench.workload import PRESETS, Workload, default


def arguments(doc: str, rounds: int) -> argparse.ArgumentParser:
    """The options that every script has; `doc` begins with what it measures."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--model", help=f"a shape, or one of {', '.join(PRESETS)}")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each figure is measured")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    return parser


def add_size(parser: argparse.ArgumentParser) -> None:
    """The options of scripts that measure one workload."""
    parser.add_argument("--completion", type=int, default=128, help="sampled tokens of an answer")
    parser.add_argument("--dtype", default="auto")


def workload_of(given: argparse.Namespace) -> Workload:
    """What the options ask for: 4 prompts of 32 tokens with 16 answers each, of the device's default model."""
    model = given.model or default(given.device).model
    return Workload(model, completion=given.completion, dtype=given.dtype, device=given.device)


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
    return "\n".join(map(row, [columns, ["---"] * len(columns), *rows]))


def row(cells: Sequence[str]) -> str:
    """A line of such a table."""
    return f"| {' | '.join(map(str, cells))} |"


def write(path: str | None, body: Mapping[str, Any]) -> None:
    """Write `body` as JSON to `path`, if one was asked for."""
    if path is not None:
        Path(path).write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def run(main: Callable[[], None]) -> None:
    """Run a script; an error is one line."""
    try:
        main()
    except HoneError as error:
        sys.exit(f"error: {error}")
