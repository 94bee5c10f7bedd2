from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from hone.core.errors import RewardError
from hone.core.problem import Verdict
from hone.core.scoring import form_of, score_all, verdict_of


def test_the_form_is_read_off_the_parameter_names() -> None:
    assert form_of(lambda completions, **kwargs: [], "f") == "trl"
    assert form_of(lambda prompts, completions, ground_truth, **kwargs: [], "f") == "trl"
    assert form_of(lambda data_source, solution_str, ground_truth, extra_info=None: 0, "f") == "verl"
    assert form_of(lambda solution_str, ground_truth, **kwargs: 0, "f") == "verl"
    assert form_of(lambda problem, text: 0, "f") == "problem"
    assert form_of(lambda text, answer, scale=2: 0, "f") == "answer"


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x, y: 0, r"takes \(x, y\), which is no known form"),
        (lambda: 0, "no parameters"),
        (lambda answer, text: 0, r"takes \(answer, text\)"),
        (lambda text, answer, more: 0, r"takes \(text, answer, more\)"),
        (lambda solution_str, tokenizer: 0, "also requires `tokenizer`"),
        (lambda completions, completion_ids: [], "requires `completion_ids`"),
        (max, "known form|cannot be read"),
    ],
)
def test_other_signatures_are_refused_with_the_reason(function: Any, reason: str) -> None:
    with pytest.raises(RewardError, match=reason):
        form_of(function, "f")


@pytest.mark.parametrize(
    ("value", "reward", "status"),
    [
        (1, 1.0, "ok"),
        (True, 1.0, "ok"),
        (-2.5, -2.5, "ok"),
        (np.float32(0.5), 0.5, "ok"),
        (np.array(2), 2.0, "ok"),
        (np.bool_(True), 1.0, "ok"),
        ({"score": 1, "acc": 0.5, "word": "x"}, 1.0, "ok"),
        (Verdict(0.5), 0.5, "ok"),
        (Verdict(None, "not_applicable"), None, "not_applicable"),
        (Verdict(float("nan")), None, "error"),
        (Verdict(1e300), None, "error"),
        (1e6, 1e6, "ok"),
        (-1e6 - 1, None, "error"),
        (1e300, None, "error"),
        ({"score": 1e9}, None, "error"),
        (None, None, "not_applicable"),
        (float("nan"), None, "error"),
        (10**400, None, "error"),
        ("1", None, "error"),
        ([1.0], None, "error"),
        (np.array([1.0, 2.0]), None, "error"),
        ({"acc": 1}, None, "error"),
        ({"score": float("inf")}, None, "error"),
        (1j, None, "error"),
    ],
)
def test_what_a_returned_value_means(value: Any, reward: float | None, status: str) -> None:
    verdict = verdict_of(value)
    assert (verdict.reward, verdict.status) == (reward, status)


def test_numbers_that_would_drown_the_others_are_no_parts() -> None:
    assert verdict_of({"score": 1, "size": 1e300, "acc": 0.5}).parts == {"acc": 0.5}
    assert verdict_of(Verdict(1.0, parts={"size": float("inf"), "acc": 0.5})).parts == {"acc": 0.5}


def test_texts_and_problems_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="0 problems but 1 texts"):
        asyncio.run(score_all(lambda text, answer: 1, "f", [], ["x"], {}))
