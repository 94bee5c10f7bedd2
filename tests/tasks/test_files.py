from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hone.core.errors import DataError, TaskError
from hone.core.problem import Split
from hone.tasks import FileTask, make
from hone.tasks.verifiers import Exact, Number

SPLITS: tuple[Split, ...] = ("train", "test")


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), "utf-8")
    return str(path)


def rows(n: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"question": f"{i} + 1?", "answer": i + 1, "kind": "sum"} for i in range(first, first + n)]


def everything(task: FileTask) -> list[str]:
    return [str(task.problem(i, s).prompt) for s in SPLITS for i in range(task.size(s) or 0)]


def test_a_file_is_split_by_content_and_stays_split_when_moved(tmp_path: Path) -> None:
    task = FileTask(write(tmp_path / "a.jsonl", rows(300)))
    sizes = {s: task.size(s) for s in SPLITS}
    assert sum(n or 0 for n in sizes.values()) == 300
    assert 10 <= (sizes["test"] or 0) <= 60
    assert len(set(everything(task))) == 300
    (tmp_path / "other").mkdir()
    moved = FileTask(str(shutil.copy(str(tmp_path / "a.jsonl"), str(tmp_path / "other"))))
    assert [moved.problem(i).id for i in range(50)] == [task.problem(i).id for i in range(50)]
    reordered = FileTask(write(tmp_path / "other" / "a.jsonl", rows(300)[::-1]))
    assert {reordered.problem(i, "test").id for i in range(sizes["test"] or 0)} == {
        task.problem(i, "test").id for i in range(sizes["test"] or 0)
    }


def test_size_is_exact_and_past_it_is_an_error(tmp_path: Path) -> None:
    task = FileTask(write(tmp_path / "a.jsonl", rows(50)))
    for split in SPLITS:
        size = task.size(split) or 0
        with pytest.raises(TaskError, match=f"has {size} distinct problems"):
            task.problem(size, split)
    with pytest.raises(TaskError, match=r"negative"):
        task.problem(-1)


def test_columns_travel_to_rewards_and_answers_are_checked(tmp_path: Path) -> None:
    task = FileTask(
        write(tmp_path / "a.jsonl", [{"problem": "1+1", "solution": 2, "oracle": "it is 2", "level": 3}])
    )
    split: Split = "train" if task.size("train") else "test"
    problem = task.problem(0, split)
    assert problem.meta["columns"] == {"solution": 2, "oracle": "it is 2", "level": 3}
    assert problem.oracle == "it is 2"
    assert task.verify(problem, str(problem.oracle)).reward == 1.0
    assert task.verify(problem, "3").reward == 0.0


def test_columns_by_name_and_chat_prompts(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1"}]
    file = write(tmp_path / "a.jsonl", [{"chat": chat, "label": "two", "how": "so", "answer": "no"}])
    task = FileTask(file, prompt="chat", answer="label", oracle="how")
    problem = task.problem(0, "train" if task.size("train") else "test")
    assert problem.prompt == tuple(chat)
    assert (problem.answer, problem.oracle) == ("two", "so")


def test_the_default_verifier_depends_on_the_answers(tmp_path: Path) -> None:
    def checker(*answers: Any) -> type:
        file = write(tmp_path / "a.jsonl", [{"prompt": f"q{i}", "answer": a} for i, a in enumerate(answers)])
        return type(FileTask(file).checker)

    assert checker(1, "2", "1,000", "3/4", "$5", "50%", "-0.5") is Number
    assert checker(1, "two") is Exact
    assert checker("Apollo 11") is Exact
    assert checker(True) is Exact
    file = write(tmp_path / "a.jsonl", [{"prompt": "q", "answer": "B"}])
    assert FileTask(file, verifier="choice").checker.name == "choice"


BAD = [
    ('{"question": "x", "answer": 1', "not valid JSON: Expecting ',' delimiter at column"),
    ("[1, 2]", "a JSON list, not an object"),
    ('{"answer": 1}', "no column `question`"),
    ('{"question": "x"}', "no column `answer`"),
    ('{"question": "", "answer": 1}', "prompt in `question` is empty"),
    ('{"question": 5, "answer": 1}', "prompt in `question` is a int"),
    ('{"question": [{"role": "user"}], "answer": 1}', "a message in `question`"),
    ('{"question": "x", "answer": null}', "answer in `answer` is empty"),
    ('{"question": "x", "answer": ""}', "answer in `answer` is empty"),
    ('{"question": "x", "answer": NaN}', "answer in `answer` is nan"),
    ('{"question": "x", "answer": 1, "oracle": 3}', "oracle in `oracle` is a int"),
    ('{"question": "x", "answer": ' + "9" * 5000 + "}", "not readable as JSON"),
    ("[" * 100_000, "not readable as JSON|not valid JSON"),
]


@pytest.mark.parametrize(("line", "reason"), BAD, ids=range(len(BAD)))
def test_a_bad_line_is_named_or_skipped_and_counted(tmp_path: Path, line: str, reason: str) -> None:
    file = write(tmp_path / "bad.jsonl", [*rows(2), "", line, *rows(2, 9)])
    with pytest.raises(DataError, match=rf"task.bad_rows=skip(.|\n)*bad.jsonl, line 4: .*({reason})"):
        FileTask(file)
    task = FileTask(file, bad_rows="skip")
    assert [row.place for row in task.bad.rows] == [4]
    assert len(everything(task)) == 4


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"prompt": "x", "answer": 1}\n{"prompt": "\xff", "answer": 1}\n')
    with pytest.raises(DataError, match=r"line 2: not UTF-8"):
        FileTask(str(tmp_path / "a.jsonl"))


def test_a_byte_order_mark_and_line_separators_inside_text_are_read(tmp_path: Path) -> None:
    text = '{"prompt": "a\u2028b", "answer": 1}\r\n{"prompt": "c", "answer": 2}\r\n'
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert sorted(everything(FileTask(str(tmp_path / "a.jsonl")))) == ["a\u2028b", "c"]


def test_an_answer_the_verifier_cannot_read_is_a_bad_row(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"prompt": "q", "answer": "twelve"}])
    with pytest.raises(DataError, match=r"line 1: the answer 'twelve' is not one number"):
        FileTask(file, verifier="number")


def test_repeated_problems_are_refused_or_left_out(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [*rows(5), *rows(3)])
    with pytest.raises(
        DataError, match=r"duplicate problem, 3: .*lines 6, 7, 8; the first: the same as line 1"
    ):
        FileTask(file)
    task = FileTask(file, bad_rows="skip")
    assert (len(everything(task)), task.bad.counts()) == (5, {"duplicate problem": 3})
    assert {task.problem(i).meta["line"] for i in range(task.size() or 0)} <= {
        1,
        2,
        3,
        4,
        5,
    }  # the first stays


def test_a_separate_test_file_keeps_its_problems(tmp_path: Path) -> None:
    train = write(tmp_path / "a.jsonl", rows(10))
    test = write(tmp_path / "b.jsonl", rows(4, first=8))
    with pytest.raises(
        DataError, match=r"in the evaluation split, 2: .*a.jsonl, lines 9, 10; .*b.jsonl, line 1"
    ):
        FileTask(train, test_path=test)
    task = FileTask(train, test_path=test, bad_rows="skip")
    assert (task.size("train"), task.size("test")) == (8, 4)
    assert task.problem(0, "test").prompt == "8 + 1?"


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no usable problem"):
        FileTask(write(tmp_path / "a.jsonl", []))
    with pytest.raises(DataError, match=r"no usable problem \(1 of 1 lines are bad\)"):
        FileTask(write(tmp_path / "a.jsonl", ["{"]), bad_rows="skip")
    with pytest.raises(DataError, match=r"does not exist"):
        FileTask(str(tmp_path / "gone.jsonl"))
    with pytest.raises(DataError, match=r"is a folder"):
        FileTask(str(tmp_path))
    with pytest.raises(DataError, match=r"name it with `task.prompt`"):
        FileTask(write(tmp_path / "a.jsonl", [{"q": 1, "answer": 1}]))
    with pytest.raises(DataError, match=r"no column `anser`; Did you mean `answer`"):
        FileTask(write(tmp_path / "a.jsonl", rows(1)), answer="anser")


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = tmp_path / "a.parquet"
    table = {
        "prompt": [[{"role": "user", "content": f"q{i}"}] for i in range(20)],
        "answer": [str(i) for i in range(20)],
    }
    parquet.write_table(pa.table(table), file)
    task = make(f"parquet:{file}")
    assert isinstance(task, FileTask)
    assert sum(task.size(s) or 0 for s in SPLITS) == 20
    assert isinstance(task.problem(0).prompt, tuple)
    parquet.write_table(pa.table({"prompt": ["a", None], "answer": [1, 2]}), file)
    with pytest.raises(DataError, match=r"row 1: the prompt in `prompt` is empty"):
        FileTask(str(file), format="parquet")
    file.write_text("not parquet")
    with pytest.raises(DataError, match=r"cannot be read as parquet"):
        FileTask(str(file), format="parquet")


def test_data_set_folders_keep_their_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.jsonl", rows(6))
    task = make(f"hf:{folder}")
    assert sum(task.size(s) or 0 for s in SPLITS) == 6  # one split only: divided by content
    write(folder / "test.jsonl", rows(3, first=100))
    task = make(f"hf:{folder}")
    assert (task.size("train"), task.size("test")) == (6, 3)
    assert task.problem(0, "test").prompt == "100 + 1?"


def test_a_data_set_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def offline(*args: Any, trust_remote_code: bool) -> None:
        assert trust_remote_code is False
        raise ConnectionError("Couldn't reach the Hub\n(offline)")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DataError, match=r"`me/mine` cannot be loaded: ConnectionError: .*without network"):
        make("hf:me/mine")


def test_options_that_have_no_meaning_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", rows(1))
    with pytest.raises(TaskError, match=r"task\.config"):
        FileTask(file, config="main")
    with pytest.raises(TaskError, match=r"task\.test_path"):
        FileTask("me/mine", format="hf", test_path=file)
