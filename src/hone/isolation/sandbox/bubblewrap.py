"""Bubblewrap: namespaces of its own for the program, by the tool `bwrap` where it is installed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from hone.isolation.sandbox.files import readable

TOOL = "bwrap"


def installed() -> bool:
    """Whether the tool is on the path."""
    return shutil.which(TOOL) is not None


def wrapped(command: Sequence[str], also: str) -> list[str]:
    """`command` in namespaces of its own, in which only `readable()` and the path `also` exist, to be read."""
    binds = [word for path in (*readable(), also) for word in ("--ro-bind-try", path, path)]
    devices = [
        word for path in readable() if path.startswith("/dev/") for word in ("--dev-bind-try", path, path)
    ]
    fixed = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--chdir", "/"]
    return [TOOL, *fixed, *binds, *devices, "--", *command]
