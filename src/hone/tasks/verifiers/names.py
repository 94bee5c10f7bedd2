"""Builds a verifier from its name: `number`, `regex:<pattern>`, `python:<path.py:function>` ..."""

from __future__ import annotations

from collections.abc import Callable

from hone.core.errors import TaskError, nearest
from hone.tasks.verifiers.choice import Choice
from hone.tasks.verifiers.contract import Verifier
from hone.tasks.verifiers.exact import Exact
from hone.tasks.verifiers.math import Math
from hone.tasks.verifiers.number import Number
from hone.tasks.verifiers.python import Python
from hone.tasks.verifiers.regex import Regex
from hone.tasks.verifiers.trl import Trl
from hone.tasks.verifiers.verl import Verl

_PLAIN: dict[str, Callable[[], Verifier]] = {"exact": Exact, "number": Number, "math": Math, "choice": Choice}
_WITH: dict[str, tuple[Callable[[str], Verifier], str]] = {
    "regex": (Regex, "regex:<pattern>"),
    "python": (Python, "python:<path.py:function>"),
    "trl": (Trl, "trl:<path.py:function>"),
    "verl": (Verl, "verl:<path.py:function>"),
}
VERIFIERS = (*_PLAIN, *_WITH)


def make_verifier(name: str) -> Verifier:
    """The verifier that `name` says. TaskError for an unknown name or a missing or needless argument."""
    kind, colon, argument = name.partition(":")
    if kind in _PLAIN:
        if colon:
            raise TaskError(f"The verifier `{kind}` takes no argument, got `{name}`.", f"Write `{kind}`.")
        return _PLAIN[kind]()
    if kind not in _WITH:
        raise TaskError(f"There is no verifier `{kind}`.", nearest(kind, VERIFIERS))
    build, usage = _WITH[kind]
    if not argument:
        raise TaskError(f"The verifier `{kind}` needs an argument.", f"Write `{usage}`.")
    return build(argument)
