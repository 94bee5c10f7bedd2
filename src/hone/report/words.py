"""Words and numbers as a person reads them, and text of models and data made safe to show."""

from __future__ import annotations

import math
import re
import unicodedata

# Escape sequences of terminals: CSI; OSC and the other strings, if they end soon on their line, for one without an end
# must not take with it what follows; what is left of any of them.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d\n]{0,500}(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x90\x98\x9c\x9e\x9f\n]{0,500}(?:\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]?"
)
# C0 but tab and newline, DEL, C1, direction marks and overrides (they reorder what surrounds them), annotations, tags
# (text that nobody sees), non-characters.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_BREAKS = re.compile("\r\n|[\r\u2028\u2029]")
MARKS = 6  # combining marks on one character; more of them are drawn over the lines above and below


def clean(text: str) -> str:
    """`text` without terminal escape sequences, control and direction characters; newline and tab stay.

    Lone surrogates, which no file can hold, become U+FFFD; of a heap of combining marks the first stay. HTML is
    escaped elsewhere.
    """
    text = _ESCAPES.sub("", _BREAKS.sub("\n", text))
    return _few_marks(_SURROGATES.sub("\ufffd", _CONTROLS.sub("", text)))


def _few_marks(text: str) -> str:
    """`text` with at most MARKS combining marks in a row."""
    if text.isascii():
        return text
    kept, row = [], 0
    for character in text:
        row = row + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if row <= MARKS:
            kept.append(character)
    return "".join(kept)


def shorten(text: str, limit: int) -> tuple[str, int]:
    """The first `limit` characters of the cleaned `text`, and how many were left out."""
    text = clean(text)
    return (text, 0) if len(text) <= limit else (text[:limit], len(text) - limit)


def percent(share: float, digits: int = 0) -> str:
    """`0.317` as `32%`. Only exact 0 and 1 read as 0% and 100%; a value that is not finite is a dash."""
    if not math.isfinite(share):
        return "–"
    text = f"{100 * share:.{digits}f}"
    if share not in (0.0, 1.0) and float(text) in (0.0, 100.0):
        edge = 10.0**-digits
        text = f"<{edge:.{digits}f}" if share < 0.5 else f">{100 - edge:.{digits}f}"
    return f"{text}%"


def points(difference: float) -> str:
    """A difference of shares in percentage points with its sign, such as `+2.1`."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def count(number: float) -> str:
    """A count: whole with thousands separators up to 99,999, then `123 k`, `1.2 M`, `3.4 B`."""
    if not math.isfinite(number):
        return "–"
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size and abs(number) >= 1e5:
            scaled = number / size
            return f"{scaled:.0f} {unit}" if abs(scaled) >= 100 else f"{scaled:.1f} {unit}"
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """`250` as `4 min 10 s`; below ten seconds with one decimal."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def figure(value: float) -> str:
    """A number of unknown size with three significant digits."""
    return "–" if not math.isfinite(value) else f"{value:.3g}"
