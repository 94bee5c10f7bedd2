"""`hone doctor`."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import typer
from rich.text import Text

from hone.cli import terminal

DISTRIBUTION = "hone-rl"
SPROUT = Path(__file__).parents[1] / "policies" / "sprout"
OLDEST = (3, 11)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `mend` is what to do where it is not as it should be, else empty."""

    name: str
    found: str
    mend: str = ""


def doctor() -> None:
    """Say what works here and what is missing, with the command that mends it.

    Answers in a moment: nothing heavy is loaded. Exit code 1 if something is missing.

    Example: `hone doctor`
    """
    findings = [python(), *packages(), threads(), device(), sandbox(), embedded_model(SPROUT)]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark, style = ("missing", "red") if finding.mend else ("ok", "green")
        line = terminal.safe(f" {finding.name:{width}}  {finding.found}")
        terminal.console().print(Text(f"{mark:7}", style).append_text(line), soft_wrap=True)
        if finding.mend:
            terminal.say(f"{'':8}{'':{width}}  mend: {finding.mend}", "bold")
    missing = sum(bool(finding.mend) for finding in findings)
    terminal.say("Everything that hone needs is here." if not missing else f"{missing} to mend.", "bold")
    if missing:
        raise typer.Exit(1)


def python() -> Finding:
    """The interpreter."""
    found = f"{platform.python_version()} ({sys.executable})"
    good = sys.version_info[:2] >= OLDEST
    return Finding(
        "python", found, "" if good else "Install Python 3.11 or newer, and make the environment anew."
    )


def packages() -> Iterator[Finding]:
    """Every requirement of the installed distribution, by its metadata alone."""
    try:
        required = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Finding(DISTRIBUTION, "runs from its source, not installed", "pip install -e .")
        return
    yield Finding(DISTRIBUTION, metadata.version(DISTRIBUTION))
    for line in required:
        if "extra ==" not in line:
            yield package(line)


def package(requirement: str) -> Finding:
    """Whether a package is installed in the wanted range."""
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    mend = f'pip install "{wanted.name}{wanted.specifier}"'
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return Finding(wanted.name, f"not installed, wanted {wanted.specifier}", mend)
    if not wanted.specifier.contains(version, prereleases=True):
        return Finding(wanted.name, f"{version}, wanted {wanted.specifier}", mend)
    return Finding(wanted.name, version)


def threads() -> Finding:
    """Cores and threads; never missing."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limit = os.environ.get("OMP_NUM_THREADS")
    return Finding("cores", f"{usable}" + (f", OMP_NUM_THREADS={limit}" if limit else ""))


def device() -> Finding:
    """GPUs as their driver names them; without one hone runs on the CPU. A GPU that torch cannot use is missing."""
    gpus = _gpus()
    if not gpus:
        return Finding("device", f"cpu ({platform.machine()})")
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = ""
    if torch.endswith("+cpu"):
        return Finding(
            "device",
            f"{gpus}, but torch {torch} is built without CUDA",
            "pip install --force-reinstall torch",
        )
    return Finding("device", gpus)


def _gpus() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(line.strip() for line in answer.stdout.splitlines() if line.strip())


def sandbox() -> Finding:
    """The strongest level at which programs can be judged here. Missing is what `code` asks for by default."""
    from hone.isolation.sandbox.levels import PROMISES
    from hone.isolation.sandbox.probe import reached
    from hone.tasks.verifiers import Code

    here = reached()
    if here.level is None:
        return Finding("sandbox", f"none: {here.reason}", here.mend)
    found = f"{here.level}: {PROMISES[here.level]}"
    if not here.reason:
        return Finding("sandbox", found)
    if here.holds(Code.sandbox):
        return Finding("sandbox", f"{found} (next level: {here.reason}; {here.mend})")
    return Finding("sandbox", f"{found}; no `code` above it: {here.reason}", here.mend)


def embedded_model(folder: Path) -> Finding:
    """Whether the embedded model is there and is the one that was measured: its hash is recorded beside it."""
    weights, record = folder / "model.safetensors", folder / "SHA256"
    mend = f"pip install --force-reinstall --no-deps {DISTRIBUTION}"
    if not weights.is_file() or not record.is_file():
        gone = [path.name for path in (weights, record) if not path.is_file()]
        return Finding("sprout", f"{', '.join(gone)} not found in {folder}", mend)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if record.read_text(encoding="utf-8").split()[:1] != [digest]:
        return Finding("sprout", f"{weights} is not the file that was shipped", mend)
    return Finding("sprout", f"{weights.stat().st_size / 1e6:.1f} MB, sha256 {digest[:12]}")
