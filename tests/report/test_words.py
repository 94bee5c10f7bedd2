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
    ],
)
def test_clean(raw: str, kept: str) -> None:
    assert words.clean(raw) == kept


def test_clean_takes_linear_time() -> None:
    assert words.clean("\x1b]" * 200_000) == ""


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
