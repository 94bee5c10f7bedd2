"""A byte order mark is believed and said; nothing else is guessed."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from hone.core.errors import DataError
from hone.tasks import FileTask
from hone.tasks.encodings import Encoding, encoding_of, lines_of

# The second line holds U+0A0A and U+0D0A, whose UTF-16 code units contain the byte of a newline.
TEXT = '{"prompt": "a", "answer": 1}\n{"prompt": "\u0a0a\u0d0a\u2028", "answer": 2}\n\n{"prompt": "c", "answer": 3}'
MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("codec", MARKS)
def test_a_marked_file_is_read_and_said(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(MARKS[codec] + TEXT.encode(codec))
    found = encoding_of(path)
    assert found.codec == codec
    lines = list(lines_of(path, found))
    assert [line.raw.decode(codec) for line in lines] == TEXT.split("\n")
    assert [line.ended for line in lines] == [True, True, True, False]
    data = path.read_bytes()
    assert all(data[line.offset :].startswith(line.raw) for line in lines)
    task = FileTask(str(path))
    assert task.bad.rows == ()
    assert codec.upper() in task.bad.notes[0]
    assert sum(task.size(split) or 0 for split in ("train", "test")) == 3  # type: ignore[arg-type]


def test_a_file_without_a_mark_is_utf_8_and_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(TEXT, encoding="utf-8")
    assert encoding_of(path) == Encoding()
    assert FileTask(str(path)).bad.notes == ()
    path.write_bytes(TEXT.encode("utf-16-be"))
    with pytest.raises(DataError, match="zero bytes, as UTF-16 without a byte order mark"):
        FileTask(str(path))


def test_a_wide_file_that_is_cut_within_a_character_is_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1])
    with pytest.raises(DataError, match="line 4: not UTF-16-LE"):
        FileTask(str(path))
