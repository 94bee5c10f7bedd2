"""Where in a text its answer stands: the conventions that all verifiers share."""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Iterable

_MARK = re.compile(
    r"(?P<hashes>####)"
    r"|(?P<boxed>\\(?:boxed|fbox)[ ]?\{)"
    r"|(?P<tag><answer>)"
    r"|(?P<words>\banswer[ \t*]{0,8}(?::|=|\bis\b)[ \t]{0,8}:?)",
    re.IGNORECASE,
)
_MINUS = str.maketrans(dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"))


def plain(text: str) -> str:
    """`text` with unicode minus signs and dashes as `-`, and control and format characters as spaces.

    Line ends and tabs stay. Length is unchanged.
    """
    text = text.translate(_MINUS)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else " " for c in text
    )


def marked(text: str) -> str | None:
    """What stands at the last answer mark of `text`, or None if there is no mark.

    Marks are `####`, `\\boxed{...}`, `<answer>...</answer>`, and `answer:`, `answer =` or `answer is` in any
    case. The answer is what the braces or tags hold (to the end of the text if they are not closed);
    otherwise the rest of the line, or the next line that is not blank. Surrounding white space, `*` and
    backticks are dropped.
    """
    last = final(_MARK.finditer(text))
    if last is None:
        return None
    rest = text[last.end() :]
    if last["boxed"]:
        found = rest[: _closing_brace(rest)]
    elif last["tag"]:
        found = re.split("</answer>", rest, maxsplit=1, flags=re.IGNORECASE)[0]
    else:
        found = rest.lstrip(" \t\r\n*").split("\n", 1)[0]
        found = re.split("</answer>", found, maxsplit=1, flags=re.IGNORECASE)[0]
    found = found.strip(" \t\r\n*`")
    inside = found.removesuffix(".")
    return inside.strip("*`") if inside.endswith(("*", "`")) else found  # **Paris**.


def final(matches: Iterable[re.Match[str]]) -> re.Match[str] | None:
    """The last of `matches`, or None."""
    found = deque(matches, maxlen=1)
    return found[0] if found else None


def _closing_brace(text: str) -> int:
    depth = 1
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if depth == 0:
            return i
    return len(text)


def tail(text: str, limit: int) -> str:
    """The last `limit` characters of `text`, less the word that the limit cuts."""
    if len(text) <= limit:
        return text
    found = re.search(r"\s", text[-limit - 1 :])  # a number that the limit cuts would read as another number
    return text[len(text) - limit - 1 + found.start() :] if found else ""
