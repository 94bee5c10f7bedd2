"""Reads rows of problem files and data sets, each with the place it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hone.core.errors import DataError
from hone.core.problem import Split


@dataclass(frozen=True)
class Row:
    """One row: its `place` (line of a JSONL from 1, row of a table from 0), and its data or what is wrong."""

    place: int
    data: dict[str, Any]
    wrong: str = ""


def jsonl_rows(path: str) -> Iterator[Row]:
    """The objects of a JSON-lines file in UTF-8 without its blank lines. DataError if there is no file."""
    with _existing(path).open("rb") as file:
        for line, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
                if not text:
                    continue
                data = json.loads(text)
            except UnicodeDecodeError as error:
                yield Row(line, {}, f"not UTF-8 (byte {error.start + 1} of the line)")
                continue
            except json.JSONDecodeError as error:
                yield Row(line, {}, f"not valid JSON: {error.msg} at column {error.colno}")
                continue
            except (
                ValueError,
                RecursionError,
            ) as error:  # a number of thousands of digits, a thousand brackets
                yield Row(line, {}, f"not readable as JSON: {str(error)[:100]}")
                continue
            if isinstance(data, dict):
                yield Row(line, data)
            else:
                yield Row(line, {}, f"a JSON {type(data).__name__}, not an object")


def parquet_rows(path: str) -> Iterator[Row]:
    """The rows of a parquet file. DataError if it cannot be read."""
    import pyarrow
    from pyarrow import parquet

    file = _existing(path)
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
        loaded = datasets.load_dataset(dataset, config or None)
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


def _existing(path: str) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        kind = "is a folder" if file.is_dir() else "does not exist"
        raise DataError(
            f"The file `{path}` {kind} (looked for {file.resolve()}).", "Give the path of a file."
        )
    return file
