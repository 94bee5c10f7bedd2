"""Episodes of a thinking stream: where they begin, and the exact token before which they do."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hone.core.errors import RecipeError
from hone.episodes.segmentation import MARKERS, Segmentation, token_places

PARAGRAPHS = [
    "First.",
    "Second.",
    "Third.",
    "Wait, no.",
    "More.",
    "Alternatively, this.",
    "But hold on.",
    "End.",
]
TEXT = "\n\n".join(PARAGRAPHS)


def episodes(text: str, cuts: tuple[int, ...]) -> list[str]:
    return [text[a:b] for a, b in zip((0, *cuts), (*cuts, len(text)))]


def test_a_marker_begins_an_episode_of_at_least_three_paragraphs():
    found = episodes(TEXT, Segmentation().cuts(TEXT))
    # `Alternatively` comes two paragraphs after the cut at `Wait`, which is too soon; `But hold on` does not.
    assert [e.split(".")[0] for e in found] == ["First", "Wait, no", "But hold on"]
    every = episodes(TEXT, Segmentation(paragraphs=1).cuts(TEXT))
    assert [e.split(".")[0] for e in every] == ["First", "Wait, no", "Alternatively, this", "But hold on"]


def test_markers_are_whole_words_at_the_beginning_of_a_paragraph():
    assert Segmentation(paragraphs=1).cuts("One.\n\nWaiting is long.\n\nI wait. Wait") == ()
    text = "One.\n\nIs there another way to think about this? Yes.\n \nBut wait"
    assert [text[c:][:5] for c in Segmentation(paragraphs=1).cuts(text)] == ["Is th", "But w"]
    assert Segmentation(paragraphs=1).cuts("\n\nWait") == ()  # nothing stands before it


def test_cap_merging_and_separators():
    lines = "".join(f"{i}\n" for i in range(10))
    assert len(Segmentation("\n").cuts(lines)) == 9  # the last line end ends the text
    assert len(Segmentation("\n", episodes=4).cuts(lines)) == 3
    merged = episodes(lines, Segmentation("\n", merge=3).cuts(lines))
    assert [e.count("\n") for e in merged] == [3, 3, 3, 1]
    assert Segmentation("\n", episodes=1).cuts(lines) == ()


@given(st.lists(st.sampled_from([*MARKERS, "Then", "So", "", "\n", "x\n\n"]), max_size=30), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_episodes_make_up_the_text(parts, least):
    text = "\n\n".join(parts)
    split = Segmentation(paragraphs=least)
    cuts = split.cuts(text)
    assert "".join(episodes(text, cuts)) == text
    assert list(cuts) == sorted(set(cuts))
    for piece in episodes(text, cuts)[:-1]:
        assert len(re.findall(r"\n[ \t]*\n\s*", piece)) >= least
    for piece in episodes(text, cuts)[1:]:
        assert piece.startswith(MARKERS)


@pytest.mark.parametrize(
    "options", [{"paragraphs": 0}, {"episodes": 0}, {"merge": 0}, {"separator": "("}, {"separator": "a*"}]
)
def test_what_cannot_be_meant_is_refused(options):
    with pytest.raises(RecipeError):
        Segmentation(**options)


def by_words(vocabulary: list[bytes]):
    def decode(tokens) -> str:
        return b"".join(vocabulary[t] for t in tokens).decode("utf-8", "replace")

    return decode


def test_token_places_are_exact():
    vocabulary = [b"One.", b"\n\n", b"Wait", b", no", b".\n\nBut", b" wait"]
    decode = by_words(vocabulary)
    tokens = np.arange(6, dtype=np.int32)
    text = decode(tokens)
    cuts = Segmentation(paragraphs=1).cuts(text)
    places = token_places(tokens, text, cuts, decode)
    assert [decode(tokens[p:]) for p in places] == ["Wait, no.\n\nBut wait", ".\n\nBut wait"]


def test_a_place_may_lie_many_tokens_before_its_cut():
    """Every token between them ends inside a character."""
    raw, ends = "ééa😀ééé!".encode(), [1, 2, 3, 6, 7, 8, 10, 12, 14, 16]
    tokens = np.arange(len(ends), dtype=np.int32)
    decode = by_words([raw[a:b] for a, b in zip([0, *ends], ends)])
    assert [decode(tokens[:p]).count("\ufffd") for p in range(3, 10)] == [1] * 7
    assert token_places(tokens, raw.decode(), [7], decode) == (2,)


@given(st.text(alphabet="aé漢😀\n", min_size=1, max_size=12), st.data())
@settings(max_examples=80, deadline=None)
def test_places_inside_characters(text, data):
    """Bytes cut at random into tokens: characters in pieces, several characters to a token."""
    raw = text.encode()
    ends = sorted({*data.draw(st.sets(st.integers(1, len(raw)))), len(raw)})
    vocabulary = [raw[a:b] for a, b in zip([0, *ends], ends)]
    decode = by_words(vocabulary)
    tokens = np.arange(len(vocabulary), dtype=np.int32)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text)))))
    wanted = []
    for cut in cuts:
        fits = [p for p in range(len(tokens) + 1) if text[:cut].encode().startswith(raw[: ([0, *ends])[p]])]
        whole = [p for p in fits if ([0, *ends])[p] in {len(text[:i].encode()) for i in range(len(text) + 1)}]
        if 0 < whole[-1] < len(tokens) and whole[-1] not in wanted:
            wanted.append(whole[-1])
    assert token_places(tokens, text, cuts, decode) == tuple(wanted)
