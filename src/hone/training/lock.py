"""One writer a folder: a lock that its process holds, and that the system lets go when the process ends."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from hone.core.errors import CheckpointError

FILE = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`, made if it is not there. Raises CheckpointError that names who holds it.

    The lock is the kernel's, on an open file: it ends with the process that took it, however that ended, and the
    file that stays behind means nothing. Its content says who holds it, for the message of another process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+", encoding="utf-8") as file:
        _take(file, folder)
        file.truncate(0)
        file.write(json.dumps(_me()) + "\n")
        file.flush()
        yield


def _take(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CheckpointError(
            f"{folder} is being written by {_holder(file)}.",
            "Wait for it to end, stop it, or write to another `--out`.",
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be locked against a second writer: {error.strerror}.",
            "Write to a local folder: this file system has no locks.",
        ) from None


def _me() -> dict[str, str | int]:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": started}


def _holder(file: IO[str]) -> str:
    """Who wrote the lock file."""
    file.seek(0)
    try:
        found = json.loads(file.read())
        return f"process {found['pid']} on {found['host']}, since {found['since']}"
    except (ValueError, KeyError, TypeError):  # it has taken the lock and not yet written
        return "another process"
