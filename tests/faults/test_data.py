"""Short real runs with bad files: refused before anything is written, or run without what is bad, and said."""

from __future__ import annotations

import codecs
import json

import pytest

import hone
from hone.core.errors import DataError, HoneError, RecipeError
from hone.training.progress import Quiet

MODEL = {
    "model": "micro:new", "num_generations": 2, "problems_per_step": 2, "steps": 2, "max_completion_length": 4,
    "eval": {"problems": 4, "samples": 2, "k": [1]},
}  # fmt: skip


class Notes(Quiet):
    """What a run says."""

    def __init__(self):
        self.texts: list[str] = []

    def note(self, text):
        self.texts.append(text)


def rows(first, n):
    return "".join(json.dumps({"prompt": f"{i}+1=", "answer": i + 1}) + "\n" for i in range(first, first + n))


def train(path, out, progress=None, **keys):
    task = {"name": f"jsonl:{path}", **keys.pop("task", {})}
    return hone.train({**MODEL, "task": task, **keys}, out=out, progress=progress)


@pytest.fixture
def files(tmp_path):
    """A training file with every ill that a run can go on without, and a test file."""
    long = json.dumps({"prompt": "9" * 2000, "answer": 9}) + "\n"
    bad = '{"prompt": "1+1=", "answer"\n' + '{"prompt": "", "answer": 1}\n' + long
    leaked, again = json.dumps({"prompt": "100+1=", "answer": 101}) + "\n", rows(0, 1)
    latin = b'{"prompt": "\xe9", "answer": 1}\n'
    (tmp_path / "train.jsonl").write_bytes((rows(0, 20) + bad + leaked + again).encode() + latin)
    (tmp_path / "test.jsonl").write_text(rows(100, 6))
    return tmp_path / "train.jsonl", tmp_path / "test.jsonl"


def test_a_run_on_a_bad_file_is_refused_with_the_whole_list(files, tmp_path):
    path, test = files
    with pytest.raises(DataError) as caught:
        train(path, tmp_path / "run", task={"test_path": str(test)})
    assert "5 of 32" in caught.value.what
    for words in (
        "truncated JSON: ",
        "wrong encoding: ",
        "empty prompt: ",
        "duplicate problem: ",
        "in the evaluation",
    ):
        assert any(line.startswith(words) for line in caught.value.lines)
    assert not (tmp_path / "run").exists()


def test_skip_runs_without_them_says_so_and_keeps_the_list(files, tmp_path):
    path, test = files
    said = Notes()
    run = train(path, tmp_path / "run", said, task={"test_path": str(test), "bad_rows": "skip"})
    assert len(run.metrics()) == 2
    record = json.loads((run.path / "data.json").read_text(encoding="utf-8"))
    counts = {kind: found["count"] for kind, found in record["rows"]["kinds"].items()}
    assert counts == {
        "truncated JSON": 1, "wrong encoding": 1, "empty prompt": 1, "duplicate problem": 1,
        "in the evaluation split": 1, "prompt over the context": 1,
    }  # fmt: skip
    assert record["rows"]["kinds"]["prompt over the context"]["first"][0]["line"] == 23
    assert record["splits"] == {"train": 20, "test": 6}
    assert record["overlap"]["in_both"] == 0
    assert any("left out 6 of 32" in text and "data.json" in text for text in said.texts)
    prompts = {json.loads(line)["prompt"] for line in (run.path / "samples.jsonl").read_text().splitlines()}
    assert "9" * 2000 not in prompts
    sample = json.loads((run.path / "samples.jsonl").read_text().splitlines()[0])
    assert {"source", "line"} <= set(sample["meta"])


def test_a_prompt_over_the_context_anywhere_in_the_file_is_refused_by_default(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(rows(0, 200) + json.dumps({"prompt": "9" * 1021, "answer": 9}) + "\n")
    with pytest.raises(
        RecipeError, match=r"1,021 tokens and `max_completion_length` 4, in a context of 1,024"
    ):
        train(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_on_the_file_of_the_evaluation_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text(rows(0, 60))
    (tmp_path / "b.jsonl").write_text(rows(500, 5))
    (tmp_path / "c.jsonl").write_text(rows(40, 60))
    task = {"name": f"jsonl:{tmp_path / 'b.jsonl'}", "test_path": str(tmp_path / "c.jsonl")}
    other = {"eval": {**MODEL["eval"], "task": task}}
    with pytest.raises(DataError, match="in the evaluation split"):
        train(tmp_path / "a.jsonl", tmp_path / "run", **other)
    run = train(tmp_path / "a.jsonl", tmp_path / "run", task={"bad_rows": "skip"}, **other)
    record = json.loads((run.path / "data.json").read_text(encoding="utf-8"))
    assert record["splits"]["test"] == 60
    assert record["splits"]["train"] <= 40
    assert record["overlap"]["in_both"] == 0


def test_a_file_from_another_system_is_read_and_said(tmp_path):
    path = tmp_path / "wide.jsonl"
    path.write_bytes(codecs.BOM_UTF16_LE + rows(0, 60).replace("\n", "\r\n").encode("utf-16-le"))
    said = Notes()
    run = train(path, tmp_path / "run", said)
    assert any("UTF-16-LE" in text for text in said.texts)
    assert json.loads((run.path / "data.json").read_text())["rows"]["bad"] == 0


def test_a_procedural_run_says_what_was_looked_at(tmp_path):
    said = Notes()
    run = hone.train({**MODEL, "task": {"name": "maze", "sizes": 5}}, out=tmp_path / "run", progress=said)
    assert any("looked at 4 training and 4 held-out problems" in text for text in said.texts)
    record = json.loads((run.path / "data.json").read_text())
    assert record["overlap"] == {"looked_at": 4, "held_out": 4, "in_both": 0, "asked_for": False}
    assert record["rows"]["read"] == 0


def test_data_that_changed_before_a_resumption_are_said(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(rows(0, 60))
    train(path, tmp_path / "run")
    said = Notes()
    task = {"name": f"jsonl:{path}"}
    hone.train({**MODEL, "task": task, "steps": 3}, out=tmp_path / "run", resume=True, progress=said)
    assert not any("data changed" in text for text in said.texts)
    path.write_text(rows(0, 70))
    hone.train({**MODEL, "task": task, "steps": 4}, out=tmp_path / "run", resume=True, progress=said)
    assert any("the data changed since the run began" in text for text in said.texts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no usable problem"),
        (b"\x00\x01\x02" * 50, "wrong encoding"),
        (b'{"prompt": "a", "answer": 1}\n' * 3, "duplicate problem"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "wrong encoding"),
        (rows(0, 1).encode(), "no (held-out|training) problems"),
    ],
)
def test_files_that_are_no_data_are_one_error(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(HoneError, match=message):
        train(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_evaluation_alone_leaves_out_and_says_so(files):
    path, _ = files
    task = {"name": f"jsonl:{path}", "bad_rows": "skip"}
    line = hone.evaluate("micro:new", task, k=[1], problems=1, samples=1, max_completion_length=4)
    assert "left out" in line["note"]
    with pytest.raises(DataError, match="bad_rows=skip"):
        hone.evaluate("micro:new", f"jsonl:{path}", k=[1], problems=1, samples=1, max_completion_length=4)
