"""Lines of a text file with their places in bytes; the encoding is UTF-8, or what a byte order mark says."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# UTF-32 before UTF-16: the mark of the one begins with that of the other.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", 1),
    (codecs.BOM_UTF32_LE, "utf-32-le", 4),
    (codecs.BOM_UTF32_BE, "utf-32-be", 4),
    (codecs.BOM_UTF16_LE, "utf-16-le", 2),
    (codecs.BOM_UTF16_BE, "utf-16-be", 2),
)


@dataclass(frozen=True)
class Encoding:
    """How a file is read: its `codec`, the bytes of a code unit, and the bytes of its mark (0 without one)."""

    codec: str = "utf-8"
    width: int = 1
    mark: int = 0

    @property
    def note(self) -> str:
        """What should be said of it, or nothing for plain UTF-8."""
        if not self.mark:
            return ""
        return f"it begins with a byte order mark and is read as {self.codec.upper()}"


@dataclass(frozen=True)
class Line:
    """A line's bytes without what ends it. `offset` is its place in the file; `ended` whether a newline follows."""

    number: int
    offset: int
    raw: bytes
    ended: bool


def encoding_of(path: Path) -> Encoding:
    """What the first bytes of the file say; nothing else is guessed."""
    with path.open("rb") as file:
        head = file.read(4)
    for mark, codec, width in _MARKS:
        if head.startswith(mark):
            return Encoding(codec, width, len(mark))
    return Encoding()


def lines_of(path: Path, encoding: Encoding) -> Iterator[Line]:
    """Lines in order, from 1. A file of one byte a unit is read as a stream, a wider one at once."""
    newline = "\n".encode(encoding.codec)
    offset = encoding.mark
    with path.open("rb") as file:
        file.seek(encoding.mark)
        found = file if encoding.width == 1 else _wide_lines(file.read(), newline)
        for number, raw in enumerate(found, start=1):
            ended = raw.endswith(newline)
            yield Line(number, offset, raw.removesuffix(newline) if ended else raw, ended)
            offset += len(raw)


def _wide_lines(data: bytes, newline: bytes) -> Iterator[bytes]:
    """Pieces of `data` that end in `newline` at a whole number of code units."""
    width, start, at = len(newline), 0, data.find(newline)
    while at >= 0:
        if at % width == 0:
            yield data[start : at + width]
            start = at + width
            at = data.find(newline, start)
        else:
            at = data.find(newline, at + 1)
    if start < len(data):
        yield data[start:]
