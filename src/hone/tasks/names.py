"""Builds a task from its name and options, as a recipe writes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from hone.core.errors import TaskError, nearest
from hone.core.options import TRUTH, misplaced_truth
from hone.core.problem import Task
from hone.tasks.arithmetic import Arithmetic
from hone.tasks.countdown import Countdown
from hone.tasks.environment import EnvironmentTask
from hone.tasks.files import FileTask
from hone.tasks.gsm8k import Gsm8k
from hone.tasks.gym import Gym
from hone.tasks.hints import Hints
from hone.tasks.maze import Maze
from hone.tasks.mixture import Mixture
from hone.tasks.strategy import Strategy
from hone.tasks.two_sum import TwoSum

TASKS: dict[str, str] = {
    "maze": "find the way through a maze (procedural, sizes 5 to 21)",
    "countdown": "reach a target from given numbers (procedural)",
    "arithmetic": "chains of operations with a scratchpad (procedural)",
    "strategy": "a letter stands for a strategy that no prompt names (procedural, for abstractions)",
    "two_sum": "name two numbers with a given sum, after a search (procedural)",
    "environment": "attempts in a text environment (key-door, lock, hidden arm, BabyAI, Gymnasium)",
    "hints": "states of an environment with hints to follow (procedural)",
    "mixture": "several tasks in one, by weights",
    "gsm8k": "grade-school word problems, from files or the hub",
    "rg:<name>": "a procedural task of reasoning-gym",
    "jsonl:<path>": "problems from a JSON-lines file",
    "parquet:<path>": "problems from a parquet file",
    "hf:<dataset>": "problems from a hub data set or a local data-set folder",
}
_EMBEDDED: dict[str, type] = {
    "maze": Maze,
    "countdown": Countdown,
    "arithmetic": Arithmetic,
    "strategy": Strategy,
    "two_sum": TwoSum,
    "gsm8k": Gsm8k,
    "environment": EnvironmentTask,
    "hints": Hints,
}
_FORMATS = ("jsonl", "parquet", "hf")
_KINDS = tuple(name.partition("<")[0] for name in TASKS)


def make(name: str, /, **options: Any) -> Task:
    """The task `name`, one of TASKS, with its `options` checked.

    `mixture` takes `tasks`, a list of names or of mappings with a `name` and options. Raises TaskError for an
    unknown name or option (with the nearest that exists) or a value of the wrong type; DataError or
    RewardError for a file or function that cannot be used.
    """
    if not isinstance(name, str):
        raise TaskError(
            f"The name of a task is {name!r}{f': {TRUTH}' if isinstance(name, bool) else ''}.", "Give a name."
        )
    kind, colon, argument = name.partition(":")
    if kind + colon not in _KINDS:
        raise TaskError(f"There is no task `{name}`.", _unknown(kind, argument))
    if colon and not argument:
        raise TaskError(
            f"The task `{name}` says no {'name' if kind == 'rg' else 'path'}.", f"Write `{_usage(kind)}`."
        )
    if kind == "rg":
        return Gym(argument, options)
    if kind in _FORMATS:
        return _build(FileTask, name, options, given={"path": argument, "format": kind})
    if kind == "mixture":
        return _build(Mixture, name, {**options, "tasks": _parts(options)})
    return _build(_EMBEDDED[kind], name, options)


def _usage(kind: str) -> str:
    return next(name for name in TASKS if name.startswith(kind + ":"))


def _unknown(kind: str, argument: str) -> str:
    if kind in ("rg", *_FORMATS):
        return f"Write `{_usage(kind)}`."
    if argument and kind in _KINDS:
        return f"`{kind}` takes no `:{argument}`; give options as `task.<option>`."
    return nearest(kind, tuple(TASKS))


def _parts(options: Mapping[str, Any]) -> tuple[Task, ...]:
    parts = options.get("tasks", ())
    if isinstance(parts, str) or not isinstance(parts, Sequence):
        raise TaskError(
            f"`task.tasks` is {parts!r}.", "Give a list of task names, or of mappings with a `name`."
        )
    made = []
    for part in parts:
        if isinstance(part, str):
            made.append(make(part))
        elif isinstance(part, Mapping) and isinstance(part.get("name"), str):
            made.append(make(part["name"], **{k: v for k, v in part.items() if k != "name"}))
        elif isinstance(part, Task):
            made.append(part)
        else:
            raise TaskError(
                f"`task.tasks` holds {part!r}{f': {TRUTH}' if misplaced_truth(part, dict[str, str]) else ''}.",
                "Each entry is a task name or a mapping with a `name`.",
            )
    return tuple(made)


def _build(cls: type, name: str, options: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Any:
    """`cls` from `options` with types checked, and from what the name has `given`."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    given = given or {}
    hints = get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls) if f.init and f.name not in given]
    values = dict(given)
    for key, value in options.items():
        if key not in known:
            raise TaskError(f"`task.{key}` is not an option of `{name}`.", nearest(key, known))
        if misplaced_truth(value, hints[key]):
            raise TaskError(f"`task.{key}` is {value!r}: {TRUTH}.", "Mend its value.")
        try:
            adapter = TypeAdapter(hints[key], config=ConfigDict(arbitrary_types_allowed=True))
            values[key] = adapter.validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise TaskError(
                f"`task.{key}` is {value!r}: {reason[0].lower()}{reason[1:]}.", "Mend its value."
            ) from None
    return cls(**values)
