"""`jsonl:<path>`, `parquet:<path>` and `hf:<dataset>`: problems from a file or a hub, with named columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hone.core.errors import DataError, TaskError, nearest
from hone.core.problem import Problem, Prompt, Split, Verdict, split_of
from hone.core.verifying import verify_all
from hone.tasks.procedural import check_index
from hone.tasks.rows import Row, hub_rows, jsonl_rows, parquet_rows
from hone.tasks.verifiers import Exact, Number, Verifier, make_verifier

Format = Literal["jsonl", "parquet", "hf"]
PROMPT = ("prompt", "question", "problem")
ANSWER = ("answer", "solution", "ground_truth")
ORACLE = ("oracle",)


@dataclass(frozen=True)
class FileTask:
    """Problems from `path`: a file, or for `hf` a data set's name or folder (with `config`, its
    configuration).

    `prompt`, `answer` and `oracle` name columns; where they are empty, the first that the first row has of
    prompt, question, problem; answer, solution, ground_truth; oracle. A prompt is text or chat messages;
    every other column travels in `meta["columns"]`, where reward functions find it.

    `verifier` is a name of `make_verifier`, or a mapping of `name` and options; where it is empty, `checker` is
    `number` if every answer is one number and `exact` otherwise.

    `test_path` is a second file with the test split. A data set with splits of its own keeps them. Otherwise
    a problem's content decides: 10% are test. A problem that occurs again, or that is in the test split too,
    is dropped and counted in `duplicates`. A bad row is a DataError that names its line (`policy="strict"`),
    or is dropped (`skip`) and listed in `skipped` as (line, reason).
    """

    path: str
    format: Format = "jsonl"
    prompt: str = ""
    answer: str = ""
    oracle: str = ""
    verifier: str | Mapping[str, Any] = field(default="", hash=False)
    policy: Literal["strict", "skip"] = "strict"
    test_path: str = ""
    config: str = ""
    name: str = field(init=False)
    checker: Verifier = field(init=False, repr=False, compare=False)
    skipped: tuple[tuple[int, str], ...] = field(init=False, repr=False, compare=False)
    duplicates: int = field(init=False, compare=False)
    _problems: Mapping[Split, tuple[Problem, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.config and self.format != "hf":
            raise TaskError(f"`task.config` has no meaning for {self.format} files.", "Leave it out.")
        if self.test_path and self.format == "hf":
            raise TaskError("`task.test_path` has no meaning for a data set.", "Leave it out.")
        # The name has no folder in it, so that ids and splits stay the same when a file is moved.
        self._set(name=f"{self.format}:{Path(self.path).name if self.format != 'hf' else self.path}")
        reading = _Reading(self)
        parts = {key: reading.problems(rows, place) for key, (rows, place) in self._sources().items()}
        self._set(skipped=tuple(reading.skipped), checker=reading.checker(parts.values()))
        problems, duplicates = _split(parts)
        self._set(_problems=problems, duplicates=duplicates)
        if not any(problems.values()):
            raise DataError(
                f"`{self.path}` has no usable problem ({len(self.skipped)} rows skipped).", _NO_ROWS
            )

    def _set(self, **values: Any) -> None:
        for key, value in values.items():
            object.__setattr__(self, key, value)

    def _sources(self) -> dict[Split | None, tuple[Iterable[Row], str]]:
        if self.format == "hf":
            loaded = hub_rows(self.path, self.config)
            return {
                split: (rows, f"{self.path}{f' ({split})' if split else ''}")
                for split, rows in loaded.items()
            }
        read = {"jsonl": jsonl_rows, "parquet": parquet_rows}[self.format]
        if self.test_path:
            return {"train": (read(self.path), self.path), "test": (read(self.test_path), self.test_path)}
        return {None: (read(self.path), self.path)}

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index` of `split`, in the order of the file; TaskError at or past `size(split)`."""
        check_index(self.name, index, self.size(split))
        return self._problems[split][index]

    def size(self, split: Split = "train") -> int | None:
        """The number of distinct problems in `split`."""
        return len(self._problems.get(split, ()))

    def verify(self, problem: Problem, text: str) -> Verdict:
        """The checker's judgement."""
        return self.checker.verify(problem, text)

    async def verify_all(
        self, problems: Sequence[Problem], texts: Sequence[str], trainer_state: Mapping[str, Any]
    ) -> list[Verdict]:
        """The checker's judgements, side by side where it can."""
        return await verify_all(self.checker, problems, texts, trainer_state)

    def parse(self, text: str) -> Any:
        """The checker's reading of `text`."""
        return self.checker.parse(text)

    def same(self, a: Any, b: Any) -> bool:
        """The checker's equality."""
        return self.checker.same(a, b)

    def key(self, answer: Any) -> str:
        """The checker's key."""
        return self.checker.key(answer)


_NO_ROWS = "Check the file and the columns that `task.prompt` and `task.answer` name."


class _Reading:
    """Turns rows into problems; keeps what was skipped and which columns were chosen."""

    def __init__(self, task: FileTask) -> None:
        self.task = task
        self.given = _verifier(task.verifier) if task.verifier else None
        self.skipped: list[tuple[int, str]] = []
        self.columns: tuple[str, str, str] | None = None

    def problems(self, rows: Iterable[Row], source: str) -> list[Problem]:
        """The good rows of `source`."""
        found = []
        unit = "line" if self.task.format == "jsonl" else "row"
        for row in rows:
            try:
                if row.wrong:
                    raise ValueError(row.wrong)
                found.append(self._problem(row.data))
            except ValueError as error:
                if self.task.policy == "strict":
                    raise DataError(
                        f"{source}, {unit} {row.place}: {error}.",
                        "Mend it, or drop bad rows with `task.policy=skip`.",
                    ) from None
                self.skipped.append((row.place, str(error)))
        return found

    def checker(self, parts: Iterable[list[Problem]]) -> Verifier:
        """The verifier that was asked for, or the default for these answers."""
        if self.given is not None:
            return self.given
        number = Number()
        try:
            for problem in (p for part in parts for p in part):
                number.gold(problem.answer)
        except ValueError:
            return Exact()
        return number

    def _problem(self, data: dict[str, Any]) -> Problem:
        prompt_key, answer_key, oracle_key = self._choose(data)
        answer, oracle = _value(data, answer_key), data.get(oracle_key)
        if isinstance(answer, float) and not math.isfinite(answer):
            raise ValueError(f"the answer in `{answer_key}` is {answer}")
        if answer is None or answer == "":
            raise ValueError(f"the answer in `{answer_key}` is empty")
        if oracle is not None and not isinstance(oracle, str):
            raise ValueError(f"the oracle in `{oracle_key}` is a {type(oracle).__name__}, not text")
        if self.given is not None:
            self.given.gold(answer)
        return Problem(
            prompt=_prompt(_value(data, prompt_key), prompt_key),
            answer=answer,
            task=self.task.name,
            oracle=oracle,
            meta={"columns": {k: v for k, v in data.items() if k != prompt_key}},
        )

    def _choose(self, data: dict[str, Any]) -> tuple[str, str, str]:
        """Column names, settled by the first row that has them."""
        if self.columns is None:
            task = self.task
            self.columns = (
                task.prompt or _first(data, PROMPT, "prompt"),
                task.answer or _first(data, ANSWER, "answer"),
                task.oracle or ORACLE[0],
            )
        if self.task.oracle and self.task.oracle not in data:
            _value(data, self.task.oracle)
        return self.columns


def _verifier(given: str | Mapping[str, Any]) -> Verifier:
    if isinstance(given, str):
        return make_verifier(given)
    if not isinstance(given.get("name"), str):
        raise TaskError(f"`task.verifier` is {dict(given)!r}.", "Give a name, or a mapping with a `name`.")
    return make_verifier(given["name"], **{k: v for k, v in given.items() if k != "name"})


def _first(data: dict[str, Any], names: tuple[str, ...], option: str) -> str:
    for name in names:
        if name in data:
            return name
    raise ValueError(
        f"none of the columns {', '.join(map(str, data)) or '(none)'} is named {', '.join(names)}; "
        f"name it with `task.{option}`"
    )


def _value(data: dict[str, Any], column: str) -> Any:
    if column not in data:
        raise ValueError(
            f"no column `{column}`; {nearest(column, list(data)).rstrip('.') if data else 'it is empty'}"
        )
    return data[column]


def _prompt(value: Any, column: str) -> Prompt:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value:
        for message in value:
            good = isinstance(message, Mapping) and set(message) >= {"role", "content"}
            if not good or not all(isinstance(message[k], str) for k in ("role", "content")):
                raise ValueError(
                    f"a message in `{column}` is not of the form {{'role': text, 'content': text}}"
                )
        return tuple({"role": m["role"], "content": m["content"]} for m in value)
    kind = "empty" if value in ("", None, []) or isinstance(value, str) else f"a {type(value).__name__}"
    raise ValueError(f"the prompt in `{column}` is {kind}, not text or a list of messages")


def _split(parts: Mapping[Split | None, list[Problem]]) -> tuple[dict[Split, tuple[Problem, ...]], int]:
    """Distinct problems by split, and how many were dropped; the test split keeps what both have."""
    splits: dict[Split, list[Problem]] = {"train": [], "test": []}
    seen: set[str] = set()
    duplicates = 0
    keys: tuple[Split | None, ...] = ("test", "train", None)
    for key in keys:
        for problem in parts.get(key, []):
            if problem.id in seen:
                duplicates += 1
                continue
            seen.add(problem.id)
            splits[key or split_of(problem.id)].append(problem)
    return {split: tuple(problems) for split, problems in splits.items()}, duplicates
