from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hone.core.errors import DataError, TaskError
from hone.core.problem import Split
from hone.tasks.gsm8k import Gsm8k

HERE = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HONE_GSM8K") or HERE.parent / "shared" / "data" / "gsm8k")
SPLITS: tuple[Split, ...] = ("train", "test")


@pytest.fixture(scope="module")
def gsm8k() -> Gsm8k:
    if not (DATA / "train.jsonl").is_file() or not (DATA / "test.jsonl").is_file():
        pytest.skip(f"no GSM8K files in {DATA}; set HONE_GSM8K to a folder with train.jsonl and test.jsonl")
    return Gsm8k(str(DATA))


def test_every_reference_is_right_and_every_changed_number_is_wrong(gsm8k: Gsm8k) -> None:
    assert [gsm8k.size(split) for split in SPLITS] == [7473, 1319]
    seen = 0
    for split in SPLITS:
        for index in range(gsm8k.size(split) or 0):
            problem = gsm8k.problem(index, split)
            assert problem.oracle is not None
            assert "<<" not in problem.oracle
            assert gsm8k.verify(problem, problem.oracle).reward == 1.0, problem.oracle
            head, last = problem.oracle.rsplit("####", 1)
            for changed in (f"{last.strip()}1", str(int(last.replace(",", "")) + 1)):
                assert gsm8k.verify(problem, f"{head}#### {changed}").reward == 0.0, (last, changed)
            seen += 1
    assert seen == 8792


def test_the_last_digit_alone_decides(gsm8k: Gsm8k) -> None:
    for index in range(200):
        problem = gsm8k.problem(index, "test")
        changed = re.sub(r"\d(?=\D*$)", lambda d: str((int(d[0]) + 1) % 10), str(problem.oracle))
        assert gsm8k.verify(problem, changed).reward == 0.0


def test_an_index_past_the_end(gsm8k: Gsm8k) -> None:
    with pytest.raises(TaskError, match="1319 distinct problems"):
        gsm8k.problem(1319, "test")


GOOD = '{"question": "How many?", "answer": "7 * 200 = <<7*200=1400>>1,400\\n#### 1,400"}\n'


def test_notes_and_separators_are_stripped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.jsonl").write_text(GOOD)
    (tmp_path / "test.jsonl").write_text(GOOD.replace("many", "few"))
    monkeypatch.setenv("HONE_GSM8K", str(tmp_path))
    problem = Gsm8k().problem(0)
    assert problem.answer == "1400"
    assert problem.oracle == "7 * 200 = 1,400\n#### 1,400"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"question": "q", "answer": "12"}', "needs text in `answer`"),
        ('{"question": 7, "answer": "#### 12"}', "needs text in `question`"),
        ('{"question": "q", "answer": "#### twelve"}', "not one number"),
        ('{"question": "q"', "not valid JSON"),
        (GOOD, "the same as line 1"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "train.jsonl").write_text(GOOD + line)
    (tmp_path / "test.jsonl").write_text(GOOD.replace("many", "few"))
    with pytest.raises(DataError, match=rf"train.jsonl, line 2: .*{reason}"):
        Gsm8k(str(tmp_path))
    task = Gsm8k(str(tmp_path), bad_rows="skip")
    assert [row.place for row in task.bad.rows] == [2]
    assert (task.size("train"), task.size("test")) == (1, 1)


def test_training_problems_of_the_test_split_are_refused_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(GOOD + GOOD.replace("many", "few"))
    (tmp_path / "test.jsonl").write_text(GOOD.replace("How", "HOW "))
    with pytest.raises(
        DataError, match=r"in the evaluation split: .*train.jsonl, line 1: the prompt of .*test"
    ):
        Gsm8k(str(tmp_path))
    task = Gsm8k(str(tmp_path), bad_rows="skip")
    assert [task.problem(0, split).prompt for split in SPLITS] == ["How few?", "HOW  many?"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train.jsonl` does not exist"):
        Gsm8k(str(tmp_path))
