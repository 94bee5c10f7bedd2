"""`verl`: verl's `compute_score` judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hone.core.scoring import Form
from hone.tasks.verifiers.function import FunctionVerifier


@dataclass(frozen=True)
class Verl(FunctionVerifier):
    """The function takes `(data_source, solution_str, ground_truth, extra_info)`.

    It returns a number, or a dict with `score`.
    """

    forms: ClassVar[tuple[Form, ...]] = ("verl",)
