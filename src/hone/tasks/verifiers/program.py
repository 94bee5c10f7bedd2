"""Programs and their tests: where in a text the program stands, and the forms in which a problem's tests come."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*(\w*)", re.MULTILINE)


@dataclass(frozen=True)
class Tests:
    """Either `statements`, run after the program in its namespace, or `pairs` of standard input and output."""

    __test__ = False  # for test runners, which go by the name
    statements: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.statements) + len(self.pairs)


def program_in(text: str) -> str | None:
    """The last fenced block of `text`, to the end if it is not closed; without one the whole text; None if empty."""
    start: int | None = None
    last: tuple[int, int] | None = None
    mark = ""
    for fence in _FENCE.finditer(text):
        if start is None:
            start, mark = text.find("\n", fence.end()) + 1 or len(text), fence[1]
        elif fence[1].startswith(mark) and not fence[2]:
            last, start = (start, fence.start()), None
    if start is not None:
        last = (start, len(text))
    found = text if last is None else text[last[0] : last[1]]
    return found if found.strip() else None


def read_tests(answer: Any) -> Tests:
    """The tests that a problem's `answer` holds. ValueError with the reason if it is of none of these forms:

    - a list of statements, each of which raises if the program is wrong: `["assert add(1, 2) == 3"]`
    - a list of mappings with `input` and `output`, text for standard input and from standard output
    - a mapping with `inputs` and `outputs`, two lists of such texts
    - text that is one of these as JSON, or else one statement (of any number of lines)
    """
    if isinstance(answer, str):
        answer = _from_text(answer)
    if isinstance(answer, Mapping):
        inputs, outputs = answer.get("inputs"), answer.get("outputs")
        if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
            raise ValueError("tests as a mapping need `inputs` and `outputs`, two lists of one length")
        answer = [{"input": i, "output": o} for i, o in zip(inputs, outputs)]
    if not isinstance(answer, list) or not answer:
        raise ValueError(
            f"the tests are {_kind(answer)}, not a list of statements or of `input` and `output`"
        )
    if all(isinstance(test, str) and test.strip() for test in answer):
        return Tests(statements=tuple(answer))
    for test in answer:
        good = isinstance(test, Mapping) and all(isinstance(test.get(k), str) for k in ("input", "output"))
        if not good:
            raise ValueError(
                f"a test is {_kind(test)}, not a statement or a mapping of texts `input` and `output`"
            )
    return Tests(pairs=tuple((test["input"], test["output"]) for test in answer))


def same_output(printed: str, wanted: str) -> bool:
    """Equal line by line, whatever spaces end the lines and whatever empty lines end the text."""
    return _lines(printed) == _lines(wanted)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _from_text(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, list | dict) else [text]


def _kind(value: Any) -> str:
    return "empty" if value in ("", [], {}, None) else f"a {type(value).__name__}"
