"""Problems that do not fit the context are refused or left out before anything is sampled."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from hone.core.errors import RecipeError
from hone.core.problem import Problem
from hone.tasks import FileTask, Maze, Mixture
from hone.training import prompts as prompts_module
from hone.training.prompts import CHUNK, Room, check, fit, fit_sample

CONTEXT = 20


def room(answer: int | None = 4) -> Room:
    """A token a character."""
    policy = SimpleNamespace(max_context=CONTEXT, encode=list, encode_answer=lambda text: [*text, "end"])
    return Room(policy, answer)  # type: ignore[arg-type]


def of_file(tmp_path, prompts, **keys) -> FileTask:
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text("".join(json.dumps({"prompt": p, "answer": 1, **keys}) + "\n" for p in prompts))
    test.write_text('{"prompt": "held out", "answer": 1}\n')
    return FileTask(str(train), test_path=str(test), bad_rows="skip")


def test_a_prompt_may_fill_the_context_with_its_answer_and_no_more():
    assert room().tokens(Problem("x" * 16, 1, "t")) == CONTEXT
    with pytest.raises(ValueError, match=r"17 tokens and `max_completion_length` 4, in a context of 20"):
        room().tokens(Problem("x" * 17, 1, "t"))


def test_where_oracles_are_learnt_from_their_length_counts_and_a_missing_one_is_named():
    assert room(None).tokens(Problem("x" * 10, 1, "t", oracle="y" * 9)) == CONTEXT
    with pytest.raises(ValueError, match="a solution of 11"):
        room(None).tokens(Problem("x" * 10, 1, "t", oracle="y" * 10))
    with pytest.raises(ValueError, match="no reference solution"):
        room(None).tokens(Problem("x", 1, "t"))


def test_skip_leaves_all_out_however_long_it_takes_and_strict_lists_them(tmp_path, monkeypatch):
    prompts = [("x" * 17 + str(i) if i % 100 == 3 else f"p{i}") for i in range(1000)]
    task = of_file(tmp_path, prompts)
    with monkeypatch.context() as patch:
        patch.setattr(prompts_module, "SECONDS", 0)
        fitted, (found,) = fit(task, "train", room())
    assert (found.count, sorted(found.bad)) == (1000, list(range(3, 1000, 100)))
    assert fitted.size() == 990
    assert [fitted.problem(i).prompt for i in (2, 3)] == ["p2", "p4"]
    strict = FileTask(task.path, test_path=task.test_path)
    with pytest.raises(RecipeError) as caught:
        fit(strict, "train", room())
    assert "10 of 1,000 rows (10 prompt over the context)" in caught.value.what
    assert "bad_rows=skip" in caught.value.mend
    assert "lines 4, 104, 204, 304, 404, 504, 604, 704, 804, 904" in caught.value.lines[0]


def test_a_check_that_takes_too_long_ends_after_a_chunk_and_says_how_far_it_came():
    problems = (Problem(f"p{i}", 1, "t") for i in range(10 * CHUNK))
    times = iter(range(100))
    found = check(problems, room(), seconds=2.5, clock=lambda: float(next(times)))
    assert found.count == 3 * CHUNK
    assert check([], room()).count == 0


def test_the_tasks_of_a_mixture_are_checked_each_by_its_own_rule(tmp_path):
    task = of_file(tmp_path, ["short", "x" * 30])
    mixture, found = fit(Mixture((task, Maze(5))), "train", room())
    assert isinstance(mixture, Mixture)
    assert [part.size() for part in mixture.tasks] == [1, Maze(5).size()]
    assert [c.count for c in found] == [2]
    with pytest.raises(RecipeError, match="maze"):
        fit_sample(Maze(5), [Maze(5).problem(0)], room(CONTEXT))
