"""Cut a thinking stream into episodes: where in the text a new one begins, and before which token that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hone.core.errors import RecipeError
from hone.core.options import require
from hone.core.trajectory import Tokens

MARKERS = (
    "Wait",
    "But wait",
    "Alternatively",
    "Is there another way to think about this?",
    "But let me double-check",
    "But hold on",
)
BYTES = 4  # of a character, at most
_BLANK = re.compile(r"\n[ \t]*\n\s*")


@dataclass(frozen=True)
class Segmentation:
    """How episodes are told apart.

    With `separator`, a regular expression, an episode ends with every match (`\\n`: each line is one). Without it, an
    episode begins with a paragraph that begins with one of `markers`; a marker that comes before `paragraphs`
    paragraphs have passed since the last cut, or since the beginning, is ignored. After `episodes` - 1 cuts the last
    episode holds all that is left. `merge` neighbouring episodes then count as one. Raises RecipeError for values out
    of range. Markers, and 3 paragraphs: Qu et al. 2025 (arXiv 2503.07572).
    """

    separator: str | None = None
    markers: tuple[str, ...] = MARKERS
    paragraphs: int = 3
    episodes: int = 50
    merge: int = 1

    def __post_init__(self) -> None:
        require("paragraphs", self.paragraphs, self.paragraphs >= 1, "at least 1")
        require("episodes", self.episodes, self.episodes >= 1, "at least 1")
        require("merge", self.merge, self.merge >= 1, "at least 1")
        if self.separator is not None:
            try:
                pattern = re.compile(self.separator)
            except re.error as error:
                raise RecipeError(
                    f"`separator` is {self.separator!r}: {error}.", "Write a regular expression."
                ) from None
            if pattern.match(""):
                raise RecipeError(
                    f"`separator` is {self.separator!r}, which matches nothing at all, everywhere.",
                    "Write one that matches at least a character.",
                )

    def cuts(self, text: str) -> tuple[int, ...]:
        """Places in `text` where an episode begins, the first one's left out: rising, between 1 and len(text) - 1."""
        found = _after_matches(text, self.separator) if self.separator else self._at_markers(text)
        return tuple(found[: self.episodes - 1][self.merge - 1 :: self.merge])

    def _at_markers(self, text: str) -> list[int]:
        starts = [0, *(m.end() for m in _BLANK.finditer(text) if m.start() > 0 and m.end() < len(text))]
        found, last = [], 0
        for index, start in enumerate(starts):
            if index - last >= self.paragraphs and _begins(text, start, self.markers):
                found.append(start)
                last = index
        return found


ONLINE = Segmentation(episodes=6)  # of a training trace, at most: the authors' later online recipe


def _after_matches(text: str, separator: str) -> list[int]:
    return sorted({m.end() for m in re.finditer(separator, text) if 0 < m.end() < len(text)})


def _begins(text: str, start: int, markers: Sequence[str]) -> bool:
    """Whether a marker stands at `start`, as whole words."""
    for marker in markers:
        end = start + len(marker)
        if text.startswith(marker, start) and not (marker[-1].isalnum() and text[end : end + 1].isalnum()):
            return True
    return False


def token_places(
    tokens: Tokens, text: str, cuts: Sequence[int], decode: Callable[[Tokens], str]
) -> tuple[int, ...]:
    """How many of `tokens[n]` stand before each of `cuts[C]`, places in `text = decode(tokens)`.

    Where a token straddles a cut, it belongs to what begins there: the text of the tokens before never reaches beyond
    the cut, and is the longest such text that is a beginning of `text` (half a character is not). Cuts that no token
    separates fall together, and those before the first token are left out, so the result rises strictly in
    [1, n - 1] and may be shorter than `cuts`.
    """
    found: list[int] = []
    for cut in cuts:
        place = _place(tokens, text, cut, decode)
        if 0 < place < len(tokens) and (not found or place > found[-1]):
            found.append(place)
    return tuple(found)


def _place(tokens: Tokens, text: str, cut: int, decode: Callable[[Tokens], str]) -> int:
    """The most tokens whose text is a beginning of `text[:cut]`."""
    low, high = 0, len(tokens)
    while low < high:
        middle = (low + high + 1) // 2
        if len(decode(tokens[:middle])) <= cut:
            low = middle
        else:
            high = middle - 1
    # Lengths rise with tokens but inside a character, which has at most four bytes and so at most four tokens. Any
    # number of tokens before that may each end inside a character.
    back = range(min(low + BYTES, len(tokens)), 0, -1)
    return next((p for p in back if text[:cut].startswith(decode(tokens[:p]))), 0)
