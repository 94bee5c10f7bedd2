"""Reads rows of problem files and data sets, each with the place it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone.core.errors import DataError
from hone.core.problem import Split
from hone.tasks.bad_rows import BadRowError
from hone.tasks.encodings import Line, encoding_of, lines_of


@dataclass(frozen=True)
class Row:
    """One row: its `place` (line of a JSONL from 1, row of a table from 0), and its data or what is wrong."""

    place: int
    data: dict[str, Any]
    wrong: BadRowError | None = None


def jsonl_rows(path: str) -> Iterator[Row]:
    """The objects of a JSON-lines file without its blank lines. DataError if there is no file.

    It is read as UTF-8, or as its byte order mark says; what does not decode is a bad row, never guessed at.
    """
    file = existing(path)
    encoding = encoding_of(file)
    for line in lines_of(file, encoding):
        try:
            text = _decoded(line, encoding.codec).strip()
            if text:
                yield Row(line.number, _object(text, line.ended))
        except BadRowError as error:
            yield Row(line.number, {}, error)


def _decoded(line: Line, codec: str) -> str:
    try:
        text = line.raw.decode(codec)
    except UnicodeDecodeError as error:
        at, byte = error.start, line.raw[error.start]
        raise BadRowError(
            "wrong encoding",
            f"not {codec.upper()}: byte 0x{byte:02x} at offset {line.offset + at:,} of the file, "
            f"{at:,} of the line",
        ) from None
    if "\0" in text:
        raise BadRowError(
            "wrong encoding",
            "it holds zero bytes, as UTF-16 without a byte order mark does; save it as UTF-8",
        )
    return text


def _object(text: str, ended: bool) -> dict[str, Any]:
    """The JSON object that a line holds. `ended`: a newline follows, so the line is not the torn end of a file."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"not valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}"
        if not ended:
            raise BadRowError("truncated JSON", f"the file ends inside this line; {reason}") from None
        torn = error.pos >= len(text) or error.msg.startswith("Unterminated string")
        raise BadRowError("truncated JSON" if torn else "invalid JSON", reason) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, a thousand brackets
        raise BadRowError("invalid JSON", f"not readable as JSON: {str(error)[:100]}") from None
    if not isinstance(data, dict):
        raise BadRowError("not an object", f"a JSON {type(data).__name__}, not an object")
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadRowError(
            "wrong encoding", "it holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"
        ) from None
    return data


def parquet_rows(path: str) -> Iterator[Row]:
    """The rows of a parquet file. DataError if it cannot be read."""
    import pyarrow
    from pyarrow import parquet

    file = existing(path)
    try:
        table = parquet.ParquetFile(file)
        place = 0
        for batch in table.iter_batches(batch_size=1024):
            for data in batch.to_pylist():
                yield Row(place, as_json(data))
                place += 1
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise DataError(
            f"`{path}` cannot be read as parquet: {' '.join(str(error).split())[:200]}.",
            "Check the file, or export it again.",
        ) from error


def hub_rows(dataset: str, config: str) -> dict[Split | None, Iterator[Row]]:
    """The splits of a hub data set or a local data-set folder, loaded by `datasets.load_dataset`.

    `train` and `test` are taken where the data set has both (`validation` stands in for a missing `test`);
    otherwise everything is under the key None, to be split by content. DataError if it cannot be loaded.
    """
    import datasets

    try:
        # A data set that comes with a script would run it; newer versions of the library have no scripts at all.
        loaded = datasets.load_dataset(dataset, config or None, trust_remote_code=False)
    except Exception as error:  # the library raises some thirty classes, from several packages
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"The data set `{dataset}` cannot be loaded: {type(error).__name__}: {reason}.",
            "Check its name and `task.config`; without network, use a folder with a copy, or `jsonl:`.",
        ) from error
    test = "test" if "test" in loaded else "validation"
    if "train" in loaded and test in loaded:
        return {"train": _numbered([loaded["train"]]), "test": _numbered([loaded[test]])}
    return {None: _numbered(list(loaded.values()))}


def as_json(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with values that JSON lacks (dates, bytes) as their text."""
    return json.loads(json.dumps(data, default=str))


def _numbered(parts: list[Any]) -> Iterator[Row]:
    place = 0
    for part in parts:
        for data in part:
            yield Row(place, as_json(data))
            place += 1


def existing(path: str) -> Path:
    """The file at `path`. DataError if there is none."""
    file = Path(path).expanduser()
    if not file.is_file():
        kind = "is a folder" if file.is_dir() else "does not exist"
        raise DataError(
            f"The file `{path}` {kind} (looked for {file.resolve()}).", "Give the path of a file."
        )
    return file
