"""The run folder: its files, and how lines are appended and cut back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from hone.core.errors import CheckpointError

JSONL = ("metrics.jsonl", "eval.jsonl", "samples.jsonl", "events.jsonl")


class RunFolder:
    """Paths and append-only files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie, one folder a step."""
        return self.path / "checkpoints"

    @property
    def final(self) -> Path:
        """The trained model in Hugging Face layout."""
        return self.path / "final"

    def create(self, recipe: Mapping[str, Any]) -> None:
        """Make the folder and write the resolved recipe. Raises CheckpointError if it holds a run already."""
        if (self.path / "recipe.yaml").exists():
            raise CheckpointError(
                f"{self.path} already holds a run.", "Use `--resume` to go on with it, or another `--out`."
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_recipe(recipe)

    def write_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Write recipe.yaml whole."""
        text = yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True)
        write_whole(self.path / "recipe.yaml", text)

    def read_recipe(self) -> dict[str, Any]:
        """The resolved recipe. Raises CheckpointError if this is no run folder."""
        path = self.path / "recipe.yaml"
        if not path.is_file():
            raise CheckpointError(f"{self.path} is no run folder: it has no recipe.yaml.", "Check the path.")
        data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return data

    def append(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append JSON lines, flushed to the operating system before returning."""
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        # A lone surrogate, which a reward's message may hold, is written as the escape that JSON has for it.
        with (self.path / name).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)

    def read(self, name: str) -> list[dict[str, Any]]:
        """The lines of a JSONL file; a torn last line is left out, any other bad line is a CheckpointError."""
        path = self.path / name
        if not path.is_file():
            return []
        lines = path.read_text(encoding="utf-8").split("\n")
        out = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                out.append(json.loads(line))
            except json.JSONDecodeError:
                if number == len(lines):
                    break
                raise CheckpointError(
                    f"{path}, line {number} is not JSON.", "Restore the file or delete the line."
                ) from None
        return out

    def lengths(self) -> dict[str, int]:
        """Byte length of each JSONL file, for a checkpoint."""
        return {n: (self.path / n).stat().st_size if (self.path / n).exists() else 0 for n in JSONL}

    def cut(self, lengths: Mapping[str, int]) -> list[str]:
        """Bring each JSONL file back to the length a checkpoint recorded; what is beyond moves aside.

        Returns what was moved, for the log. Raises CheckpointError if a file is shorter than recorded.
        """
        moved = []
        for name, length in lengths.items():
            path = self.path / name
            size = path.stat().st_size if path.exists() else 0
            if size < length:
                raise CheckpointError(
                    f"{path} has {size} bytes, its checkpoint counted {length}.",
                    "The file was changed; start a new run.",
                )
            if size > length:
                aside = _unused(path.with_suffix(f".after-{length}.jsonl"))
                with path.open("rb+") as file:
                    file.seek(length)
                    aside.write_bytes(file.read())
                    file.truncate(length)
                moved.append(f"{size - length} bytes of {name} moved to {aside.name}")
        return moved


def _unused(path: Path) -> Path:
    """`path`, or the first of its numbered siblings that does not exist."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers see the old content or the new one, never a part."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
