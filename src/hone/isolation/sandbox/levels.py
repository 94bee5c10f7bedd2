"""The levels of the sandbox, from weak to strong; each holds everything that the ones before it hold."""

from __future__ import annotations

from typing import Literal, get_args

Level = Literal["process", "limits", "seccomp", "landlock", "bubblewrap"]
LEVELS: tuple[Level, ...] = get_args(Level)
PROMISES: dict[Level, str] = {
    "process": "ends at its deadline, prints into a bounded buffer, sees no environment variables, dies with its owner",
    "limits": "memory, processor time, open files; no bytes into any file; no limit can be raised, no privilege used",
    "seccomp": "no sockets, no new processes or programs, no tracing, no signals to others, no file changed",
    "landlock": "no file read but Python's own installation and the system's libraries",
    "bubblewrap": "other files, other processes and the network do not exist",
}


def holds(level: Level, wanted: Level) -> bool:
    """Whether `level` is `wanted` or stronger."""
    return LEVELS.index(level) >= LEVELS.index(wanted)
