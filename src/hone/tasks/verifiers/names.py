"""Builds a verifier from its name: `number`, `regex:<pattern>`, `python:<path.py:function>` ..."""

from __future__ import annotations

from typing import Any

from hone.core.errors import TaskError, nearest
from hone.core.registry import with_options
from hone.tasks.verifiers.choice import Choice
from hone.tasks.verifiers.code import Code
from hone.tasks.verifiers.contract import Verifier
from hone.tasks.verifiers.exact import Exact
from hone.tasks.verifiers.math import Math
from hone.tasks.verifiers.number import Number
from hone.tasks.verifiers.python import Python
from hone.tasks.verifiers.regex import Regex
from hone.tasks.verifiers.trl import Trl
from hone.tasks.verifiers.verl import Verl

_PLAIN: dict[str, type] = {"exact": Exact, "number": Number, "math": Math, "choice": Choice, "code": Code}
_WITH: dict[str, tuple[type, str, str]] = {
    "regex": (Regex, "pattern", "regex:<pattern>"),
    "python": (Python, "source", "python:<path.py:function>"),
    "trl": (Trl, "source", "trl:<path.py:function>"),
    "verl": (Verl, "source", "verl:<path.py:function>"),
}
VERIFIERS = (*_PLAIN, *_WITH)


def make_verifier(name: str, /, **options: Any) -> Verifier:
    """The verifier that `name` says, with its options (`seconds`, `partial` ...).

    TaskError for an unknown name, or a missing or needless argument; RecipeError for an option; RewardError for a
    function or a sandbox that cannot be used.
    """
    kind, colon, argument = name.partition(":")
    verifier: Verifier
    if kind in _PLAIN:
        if colon:
            raise TaskError(f"The verifier `{kind}` takes no argument, got `{name}`.", f"Write `{kind}`.")
        verifier = with_options(_PLAIN[kind], kind, {}, options)
        return verifier
    if kind not in _WITH:
        raise TaskError(f"There is no verifier `{kind}`.", nearest(kind, VERIFIERS))
    made, key, usage = _WITH[kind]
    if not argument:
        raise TaskError(f"The verifier `{kind}` needs an argument.", f"Write `{usage}`.")
    verifier = with_options(made, kind, {key: argument}, options)
    return verifier
