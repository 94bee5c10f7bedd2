"""Which level of the sandbox works here, found by trying: every level is set up and its promise is tested."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from hone.isolation.sandbox import bubblewrap
from hone.isolation.sandbox.levels import LEVELS, Level, holds
from hone.isolation.sandbox.run import Job, Limits, SandboxError, run

# What a program tries that the level must refuse, in a form that passes exactly if it is refused.
_ATTEMPT = """
try:
    {attempt}
except (OSError, ValueError):
    pass
else:
    raise AssertionError("{what}")
"""
_REFUSED: dict[Level, tuple[str, str]] = {
    "limits": (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)",
        "a program can raise its limits",
    ),
    "seccomp": ("import socket; socket.socket()", "a program can open sockets"),
    "landlock": ("open('/proc/self/environ').read()", "a program can read files"),
    "bubblewrap": ("import os; os.stat('/proc')", "other processes can be seen"),
}
_MENDS: dict[Level, str] = {
    "process": "Check that `python` starts.",
    "limits": "Run on Linux.",
    "seccomp": "Use Linux on x86-64 or arm64; in a container, choose a profile that allows `seccomp`.",
    "landlock": "Use Linux 5.13 or newer with `landlock` among its `lsm=` boot parameters; in a container, choose a "
    "profile that allows it.",
    "bubblewrap": "Allow user namespaces, or run as root.",
}
INSTALL = "apt-get install bubblewrap"


@dataclass(frozen=True)
class Reached:
    """The strongest level that works here (None: not one), why the next one does not, and what mends it."""

    level: Level | None
    reason: str = ""
    mend: str = ""

    def holds(self, wanted: Level) -> bool:
        """Whether `wanted` works here."""
        return self.level is not None and holds(self.level, wanted)


@functools.cache
def reached() -> Reached:
    """Try the levels from weak to strong, up to the first that fails. Takes a fraction of a second, once."""
    best: Level | None = None
    for level in LEVELS:
        reason = failure(level)
        if reason:
            missing = level == "bubblewrap" and not bubblewrap.installed()
            return Reached(best, reason, f"{INSTALL}." if missing else _MENDS[level])
        best = level
    return Reached(best)


def failure(level: Level) -> str:
    """Why `level` does not hold here, or an empty string."""
    if level == "bubblewrap" and not bubblewrap.installed():
        return "bubblewrap is not installed"
    attempt = _REFUSED.get(level)
    test = _ATTEMPT.format(attempt=attempt[0], what=attempt[1]) if attempt else ""
    try:
        outcome = run(Job("", (test,)), level, Limits(seconds=30.0))
    except SandboxError as error:
        return str(error)
    if outcome.reports == ({"test": 1, "wrong": ""},):
        return ""
    return "; ".join(str(r.get("wrong", r)) for r in outcome.reports) or f"the trial ended by {outcome.end}"
