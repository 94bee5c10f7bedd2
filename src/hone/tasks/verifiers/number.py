"""`number`: the answer is a number; equal values are right however they are written."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hone.core.problem import Problem, Verdict
from hone.tasks.verifiers.contract import judge
from hone.tasks.verifiers.reading import final, marked, plain, tail

SEARCHED = 100_000  # characters, from the end
MAX_DIGITS = 300  # of one number, and of its exponent's value; a longer one is no answer
_CURRENCY = "$€£¥₹₩₽¢"
_DIGITS = r"[0-9]+(?:[.,][0-9]+)*"
_NUMBER = re.compile(
    # A sign counts only where nothing stands before it that it could be subtracted from.
    r"(?P<sign>(?<![0-9A-Za-z_)\]}])[-+])?"
    rf"(?:\\?[{_CURRENCY}][ ]?(?P<inner>[-+])?|(?<![A-Za-z0-9_]))"
    rf"(?:(?P<whole>[0-9]+)[ ](?P<top>[0-9]+)/(?P<bottom>[0-9]+)(?![0-9/])"
    rf"|(?P<body>{_DIGITS}|(?<![0-9.])\.[0-9]+)(?:[eE](?P<power>[-+]?[0-9]+))?"
    rf"(?P<over>(?:[ ]?/[ ]?{_DIGITS})*))"
)
_PLAIN = re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]+)?")
_SPACED = re.compile(r"(?<=[0-9])(?:[\u00a0\u202f\u2009]|\{,\}|\\,|\\!)(?=[0-9]{3}(?![0-9]))")
_FRACTION = re.compile(r"\\[dt]?frac\{([0-9]+)\}\{([0-9]+)\}")


@dataclass(frozen=True)
class Number:
    """Compares values exactly. Searched are the last 100,000 characters.

    At an answer mark (see `reading.marked`) the text after its last `=` must hold one value: several different ones
    are no answer, and a badly formed number (`1,00`, `1.2.3`, `1/0`) is none either. Without a mark the last
    number of the text is the answer. Read are signs, thousands separators (`1,234`), decimals, exponents,
    fractions and mixed numbers (`1 1/2`, `\\frac{1}{2}`, the unicode ones); currency signs and units are ignored. A
    percent sign is a unit too: `50%` is 50, not 0.5.
    """

    name: str = field(default="number", init=False)

    def parse(self, text: str) -> str | None:
        """The answer as an exact fraction in lowest terms (`-12`, `7/2`), or None."""
        text = tail(text, SEARCHED)
        found = marked(text)
        if found is None:
            last = final(_NUMBER.finditer(_normal(text)))
            return None if last is None else _value(last)
        distinct = {_value(m) for m in _NUMBER.finditer(_normal(found.rsplit("=", 1)[-1]))}
        return distinct.pop() if len(distinct) == 1 else None

    def gold(self, answer: Any) -> str:
        """The problem's answer as a fraction; ValueError if it is not one number."""
        value = None if isinstance(answer, bool) else one_number(str(answer))
        if value is None:
            raise ValueError(f"the answer {str(answer)[:80]!r} is not one number")
        return value

    def same(self, a: str | None, b: str | None) -> bool:
        """Equality of value."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The fraction in lowest terms."""
        return answer or ""

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Reward 1 if the number in `text` is the problem's, else 0."""
        return judge(self, problem, text)


def one_number(text: str) -> str | None:
    """The value of a text that is one number with at most a currency or percent sign; None for any other."""
    normal = _normal(text)
    found = _NUMBER.search(normal)
    if found is None or (normal[: found.start()] + normal[found.end() :]).strip(" \t\r\n$%\\."):
        return None
    return _value(found)


def _normal(text: str) -> str:
    text = _FRACTION.sub(r" \1/\2 ", _SPACED.sub(",", text))
    if not text.isascii():
        # A space keeps 1½ from becoming 11/2; the compatibility form turns ½ into 1⁄2 and full-width digits
        # into plain ones.
        spaced = "".join(f" {c}" if unicodedata.category(c) == "No" else c for c in text)
        text = unicodedata.normalize("NFKC", spaced).replace("\u2044", "/")
    return plain(text)


def _value(found: re.Match[str]) -> str | None:
    if found["whole"] is not None:
        terms = [found["top"], found["bottom"]]
        whole = _decimal(found["whole"])
    else:
        terms = [found["body"], *(part.strip() for part in found["over"].split("/")[1:])]
        whole = Fraction(0)
    values = [_decimal(term) for term in terms]
    if whole is None or None in values or len(values) > 2:
        return None
    value, *below = (v for v in values if v is not None)
    if below == [0]:
        return None
    value = whole + (value / below[0] if below else value)
    if found["power"] is not None:
        power = int(found["power"][:8])
        if abs(power) > MAX_DIGITS or below:
            return None
        value *= Fraction(10) ** power
    return str(-value if (found["sign"] or found["inner"]) == "-" else value)


def _decimal(digits: str) -> Fraction | None:
    if len(digits) > MAX_DIGITS or not _PLAIN.fullmatch(digits):
        return None
    return Fraction(digits.replace(",", ""))
