"""Writing so that nothing is lost: whole files, whole folders, whole lines, and what a full disk is."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hone.core.errors import CheckpointError

# A disk that is full, over its quota, broken, or that the system made read-only because it broke.
REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
NEW, OLD = "new", "old"


def refusal(error: BaseException) -> str:
    """What the disk said, if `error` is its refusal to write; '' for every other error."""
    code = error.errno if isinstance(error, OSError) else None
    if code is None and (found := re.search(r"\(os error (\d+)\)", str(error))):
        code = int(found[1])  # as the writers of weights and of tokenizers put it, with classes of their own
    return os.strerror(code) if code in REFUSALS else ""


@contextmanager
def named(what: str, mend: str) -> Iterator[None]:
    """Make the disk's refusal in the block a CheckpointError that says `what` could not be written."""
    try:
        yield
    except Exception as error:
        if not (said := refusal(error)):
            raise
        raise CheckpointError(f"{what} could not be written: {said}.", mend) from error


def sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that readers see the old content or the new one, never a part."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def extend(path: Path, data: bytes, at: int | None) -> int:
    """Append `data` to a file all or not at all; returns its length then.

    `at` is its length as it should be: what is beyond was left by a write that failed. None takes it as it is.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        size = os.fstat(handle).st_size
        start = size if at is None else min(at, size)
        os.ftruncate(handle, start)
        os.lseek(handle, start, os.SEEK_SET)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
        except OSError:
            os.ftruncate(handle, start)
            raise
        return start + len(data)
    finally:
        os.close(handle)


def hidden(target: Path, kind: str) -> Path:
    """Where a folder is while it is written (`new`), or while another takes its place (`old`)."""
    return target.with_name(f".{target.name}.{kind}")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """An empty folder to write in, which becomes `target` when the block ends well, and is deleted if it does not.

    A folder that has the name goes only when the new one is there: at every moment one of the two is whole, and
    `standing` says where.
    """
    beside, before = hidden(target, NEW), hidden(target, OLD)
    remove(beside)
    beside.mkdir(parents=True)
    try:
        yield beside
        for path in sorted(beside.rglob("*")):
            sync(path)
        sync(beside)
    except Exception:
        shutil.rmtree(beside, ignore_errors=True)  # its error is not the one to tell
        raise
    if target.exists():
        remove(before)
        target.rename(before)
    beside.rename(target)
    sync(target.parent)
    remove(before)


def standing(target: Path) -> Path:
    """`target`, or the folder that had its name, if a process ended while a new one took its place."""
    before = hidden(target, OLD)
    return before if not target.exists() and before.is_dir() else target


def remove(folder: Path) -> None:
    """Delete a folder if it is there. A part of it never has its name: it is hidden first."""
    if not folder.exists():
        return
    gone = folder
    if not folder.name.startswith("."):
        gone = hidden(folder, "gone")
        remove(gone)
        folder.rename(gone)
    shutil.rmtree(gone)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed left half written or half deleted in `folder`."""
    for path in folder.glob(".*.*"):
        name, _, kind = path.name.removeprefix(".").rpartition(".")
        stands = standing(folder / name) == path
        if path.is_dir() and kind in (NEW, OLD, "gone") and not stands:
            shutil.rmtree(path)


def unused(path: Path) -> Path:
    """`path`, or the first of its numbered siblings that does not exist."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
