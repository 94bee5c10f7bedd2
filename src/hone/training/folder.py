"""The run folder: its files, and how lines are appended and cut back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hone.core.errors import CheckpointError
from hone.training import disk

JSONL = ("metrics.jsonl", "eval.jsonl", "samples.jsonl", "events.jsonl")


class RunFolder:
    """Paths and append-only files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hear: Callable[[str], None] = lambda text: None  # of lines that the disk refuses
        self._waiting: dict[str, bytes] = {}  # lines of each log that are not written yet
        self._ends: dict[str, int] = {}  # the length of each log that this process has written to

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
        disk.write_whole(self.path / "recipe.yaml", text)

    def read_recipe(self) -> dict[str, Any]:
        """The resolved recipe. Raises CheckpointError if this is no run folder."""
        path = self.path / "recipe.yaml"
        if not path.is_file():
            raise CheckpointError(f"{self.path} is no run folder: it has no recipe.yaml.", "Check the path.")
        data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return data

    def append(self, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Append JSON lines, handed to the operating system before returning.

        Where the disk refuses them, they wait in memory and are written before the next ones; `hear` is told.
        """
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        # A lone surrogate, which a reward's message may hold, is written as the escape that JSON has for it.
        waited = name in self._waiting
        self._waiting[name] = self._waiting.get(name, b"") + text.encode("utf-8", "backslashreplace")
        try:
            self._write(name)
        except OSError as error:
            if not (said := disk.refusal(error)):
                raise
            if not waited:
                self.hear(f"{self.path / name} could not be written ({said}): its lines wait in memory")
        else:
            if waited:
                self.hear(f"the lines of {self.path / name} that waited are written")

    def _write(self, name: str) -> None:
        """Write what waits for a log."""
        self._ends[name] = disk.extend(self.path / name, self._waiting[name], self._ends.get(name))
        del self._waiting[name]

    def flush(self) -> None:
        """Have the disk hold every line that was appended. Raises OSError where it refuses."""
        for name in list(self._waiting):
            self._write(name)
        for name in JSONL:
            if (self.path / name).exists():
                disk.sync(self.path / name)

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

    def sizes(self) -> dict[str, int]:
        """Byte length of each JSONL file as it is on disk, for a checkpoint."""
        return {n: (self.path / n).stat().st_size if (self.path / n).exists() else 0 for n in JSONL}

    def beyond(self, lengths: Mapping[str, int]) -> list[Cut]:
        """What each JSONL file has beyond the length that a checkpoint recorded, copied aside for good.

        Raises CheckpointError if a file is shorter than recorded, or was changed since.
        """
        return [cut for name, length in lengths.items() if (cut := self._beyond(name, length)) is not None]

    def _beyond(self, name: str, length: int) -> Cut | None:
        path = self.path / name
        whole = path.read_bytes() if path.exists() else b""
        if len(whole) < length or whole[:length][-1:] not in (b"", b"\n"):
            raise CheckpointError(
                f"{path} is not the file whose {length} bytes its checkpoint counted: it has {len(whole)}.",
                "The file was changed; start a new run.",
            )
        rest = whole[length:]
        return Cut(name, rest, _aside(path.with_suffix(f".after-{length}.jsonl"), rest)) if rest else None

    def cut(self, lengths: Mapping[str, int]) -> None:
        """Bring each JSONL file back to the length that a checkpoint recorded."""
        for name, length in lengths.items():
            if (self.path / name).exists():
                os.truncate(self.path / name, length)
            self._ends[name] = length


@dataclass(frozen=True)
class Cut:
    """What a resumption took off a log, and the file that it was moved to."""

    name: str
    content: bytes
    aside: Path

    def lines(self) -> list[dict[str, Any]]:
        """Its whole lines."""
        out = []
        for line in self.content.split(b"\n")[:-1]:
            with suppress(ValueError):
                out.append(json.loads(line))
        return out


def _aside(path: Path, content: bytes) -> Path:
    """Write `content` to `path`, or to the first of its numbered siblings that does not exist.

    One that holds it already is from a resumption that was killed before it cut the log, and serves.
    """
    for known in path.parent.glob(f"{path.stem}*{path.suffix}"):
        if known.read_bytes() == content:
            return known
    fresh = disk.unused(path)
    disk.write_whole(fresh, content)
    return fresh
