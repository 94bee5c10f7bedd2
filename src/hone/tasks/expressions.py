"""Final answers after a marker, and a small reader of arithmetic expressions (nothing is ever executed)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MARK = "#"
MAX_LENGTH = 200  # bounds recursion and the size of numbers, whatever text arrives
TOKEN = re.compile(r"[0-9]+|[-+*/()]")
TYPESET = str.maketrans({"\u2212": "-", "\u00d7": "*", "\u00f7": "/"})  # minus, times, divided by


@dataclass(frozen=True)
class Expression:
    """The exact `value` of an expression and the `numbers` it uses, in the order they are written."""

    value: Fraction
    numbers: tuple[int, ...]


def final(text: str) -> str | None:
    """What follows the marker, with typeset signs as ASCII; None if there is no marker or more than one."""
    _, found, tail = text.partition(MARK)
    answer = tail.strip()
    return answer.translate(TYPESET) if found and MARK not in tail and 0 < len(answer) <= MAX_LENGTH else None


def first_step(text: str) -> str:
    """The left side of a scratchpad's first line, `3*7` of `3*7=21`; empty where the answer begins with the marker."""
    return text.strip().partition(MARK)[0].partition("\n")[0].partition("=")[0].strip()


def evaluate(text: str) -> Expression | None:
    """Read numbers, + - * / and parentheses, with the usual precedence, exactly.

    None if the text is no expression: unknown characters, a sign without a left side, unbalanced parentheses,
    division by zero, or more than MAX_LENGTH characters.
    """
    text = text.replace(" ", "")
    tokens = TOKEN.findall(text) if len(text) <= MAX_LENGTH else []
    if not tokens or "".join(tokens) != text:
        return None
    try:
        value, end = _sum(tokens, 0)
    except (ValueError, ZeroDivisionError):
        return None
    return Expression(value, tuple(int(t) for t in tokens if t.isdigit())) if end == len(tokens) else None


def _sum(tokens: list[str], at: int) -> tuple[Fraction, int]:
    value, at = _product(tokens, at)
    while at < len(tokens) and tokens[at] in "+-":
        right, after = _product(tokens, at + 1)
        value, at = (value + right if tokens[at] == "+" else value - right), after
    return value, at


def _product(tokens: list[str], at: int) -> tuple[Fraction, int]:
    value, at = _atom(tokens, at)
    while at < len(tokens) and tokens[at] in "*/":
        right, after = _atom(tokens, at + 1)
        value, at = (value * right if tokens[at] == "*" else value / right), after
    return value, at


def _atom(tokens: list[str], at: int) -> tuple[Fraction, int]:
    if at < len(tokens) and tokens[at].isdigit():
        return Fraction(int(tokens[at])), at + 1
    if at < len(tokens) and tokens[at] == "(":
        value, after = _sum(tokens, at + 1)
        if after < len(tokens) and tokens[after] == ")":
            return value, after + 1
    raise ValueError("a number or a closed parenthesis was expected")
