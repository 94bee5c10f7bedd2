from __future__ import annotations

import math

import pytest

from hone.report import words


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc"),
        ("a\x00\x08\x7f\x85b", "ab"),
        ("\x9b2Ja", "a"),
        ("a\x1bPq1\x1b\\b\x1bcd", "abd"),
        ("tab\tnew\nline\r\nend\rlast", "tab\tnew\nline\nend\nlast"),
        ("x\u202ey\u2066z\ufeff", "xyz"),
        ("\ud800ok", "\ufffdok"),
        ("<b>é日本🙂", "<b>é日本🙂"),
        ("end\x1b", "end"),
        ("a\x1b]0;no end\nthe mend", "a0;no end\nthe mend"),
        ("a\x1bPno end the mend", "ano end the mend"),
        ("a\x90q#0\x9cb\x9fhidden\x1b\\c", "abc"),
        ("a\u061c\u206a\ufff9\U000e0041b", "ab"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("Z" + "\u0301" * 50 + "algo", "Z" + "\u0301" * 6 + "algo"),
        (
            "\u1ec7 e\u0323\u0302 \U0001f468\u200d\U0001f469",
            "\u1ec7 e\u0323\u0302 \U0001f468\u200d\U0001f469",
        ),
    ],
)
def test_clean(raw: str, kept: str) -> None:
    assert words.clean(raw) == kept


@pytest.mark.parametrize("start", ["\x1b]", "\x1bP", "\x9d", "\x90", "\x1b[", "\x9b1;"])
def test_clean_takes_linear_time(start: str) -> None:
    assert words.clean(start * 200_000).strip("1;") == ""


def test_no_sequence_is_left_whatever_is_taken_out_of_it() -> None:
    """Taking one thing out must not put another together."""
    raw = "\x1b\x1b[31m]0;x\x07 \x1b\x00[31m \x1b\u202e]0;t\x07 \x9b\x9b2J \ud83d\x00\ude00"
    assert not set(words.clean(raw)) & {"\x1b", "\x9b", "\x07", "\x00"}
    assert words.clean(words.clean(raw)) == words.clean(raw)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.317, "32%"), (0, "0%"), (1, "100%"), (0.001, "<1%"), (0.9991, ">99%"), (math.nan, "–")],
)
def test_percent_keeps_0_and_100_for_what_is_exact(share: float, text: str) -> None:
    assert words.percent(share) == text


def test_numbers_in_words() -> None:
    assert words.duration(250) == "4 min 10 s"
    assert words.duration(59.9) == "1 min 0 s"
    assert words.duration(7260) == "2 h 1 min"
    assert words.count(15360) == "15,360"
    assert words.count(1_234_567) == "1.2 M"
    assert words.points(0.021) == "+2.1"
    assert words.points(-0.021) == "−2.1"
    assert words.points(-0.0001) == "0.0"
