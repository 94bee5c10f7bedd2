"""Every kind of bad row in one file: all are listed in one message, or all are left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hone.core.errors import DataError
from hone.tasks import FileTask
from hone.tasks.bad_rows import LISTED, BadRow, BadRows


def line(prompt: object, answer: object = 1, **more: object) -> bytes:
    return json.dumps({"prompt": prompt, "answer": answer, **more}).encode()


LINES = {
    1: (line("first"), None),
    2: (b'{"prompt": "torn", "ans', "truncated JSON"),
    3: (b'{"prompt": "x", "answer": 1} and more', "invalid JSON"),
    4: ('{"prompt": "caf\u00e9", "answer": 1}'.encode("latin-1"), "wrong encoding"),
    5: (b"[1, 2]", "not an object"),
    6: (line("  "), "empty prompt"),
    7: (line(7), "malformed prompt"),
    8: (b'{"answer": 1}', "missing prompt"),
    9: (line("no answer", None), "missing answer"),
    10: (b'{"prompt": "infinite", "answer": Infinity}', "unusable answer"),
    11: (line("o", oracle=3), "unusable oracle"),
    12: (line("first"), "duplicate problem"),
    13: (b'{"prompt": "half \\ud83d", "answer": 1}', "wrong encoding"),
    14: ('{"prompt": "wide", "answer": 1}'.encode("utf-16-le"), "wrong encoding"),
    15: (line([{"role": "user", "content": " "}]), "empty prompt"),
    16: (line("last"), None),
    17: (b'{"prompt": "the file ends here", "answer": tr', "truncated JSON"),
}


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(b"\n".join(raw for raw, _ in LINES.values()))
    return str(path)


def test_strict_lists_every_kind_in_one_message(mixed: str) -> None:
    with pytest.raises(DataError) as caught:
        FileTask(mixed)
    error = caught.value
    assert "15 of 17" in error.what
    assert "task.bad_rows=skip" in error.mend
    for kind in {kind for _, kind in LINES.values() if kind}:
        places = [str(number) for number, (_, found) in LINES.items() if found == kind]
        of_kind = [text for text in error.lines if text.startswith(kind)]
        assert len(of_kind) == 1
        where = f"line{'s' * (len(places) > 1)} {', '.join(places)}"
        assert where in of_kind[0]
    assert str(error).count("\n") == len(error.lines)


def test_skip_leaves_them_out_and_keeps_the_list(mixed: str) -> None:
    task = FileTask(mixed, bad_rows="skip")
    kept = [task.problem(i, s).prompt for s in ("train", "test") for i in range(task.size(s) or 0)]  # type: ignore[arg-type]
    assert sorted(map(str, kept)) == ["first", "last"]
    assert {row.place: row.kind for row in task.bad.rows} == {n: k for n, (_, k) in LINES.items() if k}
    assert task.bad.read == 17
    record = json.loads(json.dumps(task.bad.record()))
    assert record["bad"] == 15
    assert record["kinds"]["wrong encoding"]["count"] == 3
    assert [row["line"] for row in record["kinds"]["wrong encoding"]["first"]] == [4, 13, 14]


def test_bytes_are_named_by_their_place_in_the_file_and_in_the_line(mixed: str) -> None:
    task = FileTask(mixed, bad_rows="skip")
    reason = next(row.reason for row in task.bad.rows if row.place == 4)
    data = Path(mixed).read_bytes()
    offset = data.index(b"\xe9")
    assert f"byte 0xe9 at offset {offset} of the file, {offset - data.rindex(b'{', 0, offset)} of" in reason


def test_only_the_first_places_are_written_out() -> None:
    rows = tuple(BadRow("empty prompt", "a.jsonl", "line", n, "it is empty") for n in range(1, 26))
    bad = BadRows(40, rows)
    assert bad.lines() == [
        "empty prompt, 25: a.jsonl, lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 15 more; the first: it is empty"
    ]
    assert bad.record()["kinds"]["empty prompt"]["count"] == 25
    assert len(bad.record()["kinds"]["empty prompt"]["first"]) == LISTED
