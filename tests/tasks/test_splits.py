"""Training problems are not evaluation problems, by content and by the prompt in normal form."""

from __future__ import annotations

import pytest

from hone.core.errors import DataError
from hone.core.problem import Problem
from hone.tasks.rows import Row
from hone.tasks.splits import Shared, normal, settle


def made(data):
    return Problem(data["prompt"], data["answer"], "t", meta={"columns": data})


def rows(*pairs):
    return [Row(n, {"prompt": p, "answer": a}) for n, (p, a) in enumerate(pairs, start=1)]


TRAIN = rows(("one", 1), ("two", 2), ("  TWO\n", 3), ("three", 3), ("two", 2))
TEST = rows(("Two", 2), ("three", 3))


def test_the_evaluation_stays_and_training_gives_way():
    sources = {"train": (TRAIN, "a"), "test": (TEST, "b")}
    splits, bad = settle("t", "skip", sources, "line", made)
    assert [p.prompt for p in splits["train"]] == ["one"]
    assert [p.prompt for p in splits["test"]] == ["Two", "three"]
    assert [(row.place, row.kind, row.reason) for row in bad.rows] == [
        (5, "duplicate problem", "the same as line 2"),
        (2, "in the evaluation split", "the prompt of b, line 1"),
        (3, "in the evaluation split", "the prompt of b, line 1"),
        (4, "in the evaluation split", "the same problem as b, line 2"),
    ]
    with pytest.raises(DataError, match="4 of 7"):
        settle("t", "strict", sources, "line", made)


def test_rows_divided_by_content_are_kept_apart_too():
    """Of 40 prompts in two spellings with two answers some fall on both sides of the split."""
    both = rows(*((f"prompt {i}", 0) for i in range(40)), *((f"Prompt  {i}", 1) for i in range(40)))
    splits, bad = settle("t", "skip", {None: (both, "a")}, "line", made)
    shared = Shared(splits["test"])
    assert all(shared.find(p) is None for p in splits["train"])
    assert bad.counts()["in the evaluation split"] > 0
    assert len(splits["train"]) + len(splits["test"]) + len(bad.rows) == 80


def test_a_problem_knows_its_line():
    splits, _ = settle("t", "strict", {"train": (rows(("one", 1)), "a.jsonl")}, "line", made)
    assert splits["train"][0].meta == {
        "columns": {"prompt": "one", "answer": 1},
        "source": "a.jsonl",
        "line": 1,
    }


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("What is 1+1?", "what  is\n1+1? ", True),
        ("\ufb01ne", "fine", True),
        ("e\u0301", "\u00e9", True),
        ("1+1", "1+ 1", False),
        ("one.", "one", False),
    ],
)
def test_the_normal_form_is_about_case_space_and_unicode(a: str, b: str, same: bool):
    assert (normal(Problem(a, 1, "t")) == normal(Problem(b, 1, "t"))) is same
