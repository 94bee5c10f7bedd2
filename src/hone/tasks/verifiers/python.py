"""`python`: a plain function of `(problem, text)` or `(text, answer)` judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hone.core.scoring import Form
from hone.tasks.verifiers.function import FunctionVerifier


@dataclass(frozen=True)
class Python(FunctionVerifier):
    """The function takes `(problem: Problem, text: str)` or `(text: str, answer)` and returns a number."""

    forms: ClassVar[tuple[Form, ...]] = ("problem", "answer")
