"""`on`, `yes`, `off` and `no` are truth values in YAML: refused wherever text or a number is meant."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args, get_type_hints

import pytest
import yaml
from typer.testing import CliRunner

import hone
from hone.catalog import REGISTRY
from hone.cli import main
from hone.core.errors import HoneError, RecipeError, TaskError
from hone.core.guards import Guard, Guards
from hone.core.options import misplaced_truth
from hone.core.recipe import CheckpointSettings, EvalSettings, Recipe
from hone.recipes.load import parse_overrides, read, resolve
from hone.tasks import Arithmetic, Countdown, FileTask, Gsm8k, Maze, Mixture, make

STAGES = ("curriculum", "episode", "selectors", "credit", "objective", "correction", "kl")
BLOCKS = {"": Recipe, "eval.": EvalSettings, "checkpoint.": CheckpointSettings, "guards.": Guards}
BLOCKS |= {
    f"guards.{name}.": field.annotation
    for name, field in Guards.model_fields.items()
    if issubclass(field.annotation, Guard)
}
TRUTHS = {
    f"{prefix}{name}": bool in (field.annotation, *get_args(field.annotation))
    for prefix, block in BLOCKS.items()
    for name, field in block.model_fields.items()
}


@pytest.mark.parametrize("key", TRUTHS)
@pytest.mark.parametrize("word", ["on", "no"])
def test_every_key_of_the_recipe(key: str, word: str):
    overrides = parse_overrides([f"{key}={word}"])
    try:
        resolve({"task": "maze"}, overrides)
        said = ""
    except HoneError as error:
        said = str(error)
    if TRUTHS[key]:
        assert "truth value" not in said
        return
    assert f"`{key.split('.')[0]}" in said
    assert any(words in said for words in ("truth value", "valid dictionary", "it must be"))


@pytest.mark.parametrize(
    "text",
    [
        "{task: {name: no}}", "{task: on}", "{task: maze, method: on}", "{task: maze, reward: yes}",
        "{task: maze, stop: [yes]}", "{task: maze, eval: {k: [1, on]}}", "{task: maze, betas: [on, 0.9]}",
        "{task: maze, credit: [rloo, on]}", "{task: maze, credit: {name: off}}", "{task: maze, eval: {task: no}}",
        "{task: maze, credit: [rloo, {name: scale, over: on}]}", "{task: maze, eval: {task: {name: no}}}",
        "{task: maze, method: on, credit: {floor: 0.1}}", "{task: maze, selectors: [yes]}",
        "{task: maze, method: sft, episode: {name: demonstration, mix: {direct: yes}}}",
        "{task: maze, phases: [{method: on}]}",
    ],
)  # fmt: skip
def test_values_within_values(text: str):
    with pytest.raises(RecipeError, match="truth value"):
        resolve(yaml.safe_load(text))


def test_keys_that_are_truth_values(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("task: maze\non: 3\n")
    with pytest.raises(RecipeError, match="key `True` is not text"):
        read(path)


PIECES = [(stage, name) for stage in STAGES for name in REGISTRY.names(stage)]


@pytest.mark.parametrize(("stage", "name"), PIECES, ids=[f"{s}:{n}" for s, n in PIECES])
def test_every_option_of_every_piece(stage: str, name: str):
    cls = REGISTRY.get(stage, name)
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.init and hints[field.name] is not bool:
            with pytest.raises(RecipeError, match=rf"`{stage}\.{field.name}` is True: a truth value"):
                REGISTRY.build(stage, name, {field.name: True}, {})


TASKS = {"maze": Maze, "countdown": Countdown, "arithmetic": Arithmetic, "gsm8k": Gsm8k, "jsonl:x": FileTask}


@pytest.mark.parametrize("name", TASKS)
def test_every_option_of_every_task(name: str):
    cls = TASKS[name]
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.init and hints[field.name] is not bool and field.name not in ("path", "format"):
            with pytest.raises(TaskError, match=rf"`task\.{field.name}` is False: a truth value"):
                make(name, **{field.name: False})


def test_tasks_of_mixtures_and_of_reasoning_gym():
    for part in (True, {"name": False}):
        with pytest.raises(TaskError, match=r"truth value.*Each entry"):
            make("mixture", tasks=["maze", part])
    with pytest.raises(TaskError, match=r"`task\.weights` .*truth value"):
        make("mixture", tasks=["maze"], weights=[True])
    with pytest.raises(TaskError, match=r"`task\.min_animals` is True: a truth value"):
        make("rg:leg_counting", min_animals=True)
    assert isinstance(make("mixture", tasks=["maze"]), Mixture)


def test_the_command_line_and_the_evaluation():
    def said(*words: str) -> str:
        result = CliRunner().invoke(main.app, list(words), env={"COLUMNS": "200"})
        assert result.exit_code == 2, result.output
        return result.stderr

    assert "truth value" in said("train", "demo", "method=on")
    assert "truth value" in said("train", "demo", "reward=yes")
    assert "truth value" in said("train", "demo", "task.name=no")
    assert "truth value" in said("tasks", "jsonl:x", "prompt=no")
    assert "truth value" in said("eval", "micro:new", "--task", "maze", "task.name=no")
    with pytest.raises(TaskError, match="truth value"):
        hone.evaluate("micro:new", {"name": False})


def test_text_that_is_quoted_is_text():
    found = resolve({"task": "jsonl:x"}, parse_overrides(["task.prompt='on'", "stop=['yes', \"no\"]"]))[0]
    assert found.task.options == {"prompt": "on"}
    assert found.stop == ("yes", "no")


@pytest.mark.parametrize(
    ("value", "annotation", "misplaced"),
    [
        (True, str, True), (True, int, True), (True, bool, False), (True, bool | str, False), ("on", str, False),
        ([True], tuple[str, ...], True), ([True], list[bool], False), ({"a": True}, dict[str, float], True),
        ({"a": True}, dict[str, object], False), (True, str | None, True), ([["a", True]], list[list[str]], True),
        ({"name": "a", "flag": True}, Recipe, False), (True, str | dict[str, Any], True),
        ({"a": True}, str | dict[str, Any], False), (True, Literal[1, "auto"], True), (True, Literal[True], False),
        (True, bool | Literal["auto"], False), ([True], str, False),
    ],
)  # fmt: skip
def test_where_a_truth_value_is_misplaced(value, annotation, misplaced: bool):
    assert misplaced_truth(value, annotation) is misplaced
