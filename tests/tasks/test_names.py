from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hone.core.errors import TaskError
from hone.core.problem import Task
from hone.tasks import TASKS, Maze, Mixture, make


def test_every_plain_name_makes_a_task() -> None:
    for name in TASKS:
        if name in ("maze", "countdown", "arithmetic"):
            task = make(name)
            assert isinstance(task, Task)
            assert task.name == name
    assert make("maze", sizes=[5, 7]) == Maze(sizes=(5, 7))
    assert make("rg:chain_sum", max_terms=3).name == "rg:chain_sum"


def test_a_mixture_of_names_and_mappings() -> None:
    task = make("mixture", tasks=["countdown", {"name": "maze", "sizes": 5}], weights=[1, 3])
    assert isinstance(task, Mixture)
    assert [t.name for t in task.tasks] == ["countdown", "maze"]
    assert task.weights == (1.0, 3.0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("maz", {}, "no task `maz`. Did you mean `maze`"),
        ("nothing", {}, "Known: arithmetic, countdown"),
        ("maze:5", {}, "takes no `:5`"),
        ("rg", {}, "Write `rg:<name>`"),
        ("jsonl", {}, "Write `jsonl:<path>`"),
        ("jsonl:", {}, "says no path"),
        ("csv:a.csv", {}, "no task `csv:a.csv`"),
        ("", {}, "no task ``"),
        ("maze", {"size": 5}, "`task.size` is not an option of `maze`. Did you mean `sizes`"),
        ("maze", {"name": "x"}, "`task.name` is not an option"),
        ("maze", {"sizes": "big"}, "`task.sizes` is 'big': input should be a valid integer"),
        ("jsonl:a", {"bad_rows": "lax"}, "`task.bad_rows` is 'lax': input should be 'strict' or 'skip'"),
        ("jsonl:a", {"format": "parquet"}, "`task.format` is not an option"),
        ("mixture", {"tasks": "maze"}, "`task.tasks` is 'maze'"),
        ("mixture", {"tasks": [3]}, "`task.tasks` holds 3"),
        ("mixture", {"tasks": ["maz"]}, "no task `maz`"),
        ("mixture", {"task": []}, "Did you mean `tasks`"),
    ],
)
def test_unknown_names_and_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError) as caught:
        make(name, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_listing_tasks_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "reasoning_gym", "datasets", "math_verify", "sympy", "pyarrow")
    code = f"import sys, hone.tasks; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
