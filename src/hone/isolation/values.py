"""Problems and verdicts on their way to and from workers: as JSON values, and what a failed call means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hone.core.errors import HoneError
from hone.core.loading import describe
from hone.core.problem import Problem, Verdict
from hone.isolation.pool import WorkerError


def problem_value(problem: Problem) -> dict[str, Any]:
    """A problem as a JSON value."""
    return {**vars(problem), "meta": dict(problem.meta)}


def problem_of(value: Mapping[str, Any]) -> Problem:
    """The problem that `problem_value` made `value` of."""
    prompt = value["prompt"]
    return Problem(**{**value, "prompt": prompt if isinstance(prompt, str) else tuple(prompt)})


def verdict_value(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a JSON value, if its answer is one."""
    return {**vars(verdict), "parts": dict(verdict.parts)}


def verdict_of(value: Mapping[str, Any]) -> Verdict:
    """The verdict that `verdict_value` made `value` of."""
    return Verdict(**value)


def failed(error: Exception) -> Verdict:
    """The verdict for an exception, one that happened in a worker included."""
    told = isinstance(error, WorkerError | HoneError | TimeoutError) and str(error)
    return Verdict(
        None, "timeout" if isinstance(error, TimeoutError) else "error", detail=told or describe(error)
    )
