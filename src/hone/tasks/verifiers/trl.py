"""`trl`: a reward function in TRL's form judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hone.core.scoring import Form
from hone.tasks.verifiers.function import FunctionVerifier


@dataclass(frozen=True)
class Trl(FunctionVerifier):
    """The function takes keyword lists (`prompts`, `completions`, data columns), here of one, and returns a list."""

    forms: ClassVar[tuple[Form, ...]] = ("trl",)
