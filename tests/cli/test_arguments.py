"""Words of the command line: recipe, overrides, task options, lists."""

from __future__ import annotations

import pytest

from hone.cli.arguments import integers, named, names, split
from hone.core.errors import RecipeError


def test_the_first_word_is_the_recipe_unless_it_is_an_override(tmp_path, monkeypatch):
    assert split(["demo", "steps=3", "learning_rate=1e-6"]) == ("demo", {"steps": 3, "learning_rate": 1e-6})
    assert split(["steps=3"]) == (None, {"steps": 3})
    assert split(None) == (None, {})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1.yaml").write_text("task: maze\n")
    assert split(["lr=1.yaml"])[0] == "lr=1.yaml"


def test_a_second_word_without_a_value_is_refused():
    with pytest.raises(RecipeError, match="`grpo` is not an override"):
        split(["demo", "grpo"])


def test_task_options_become_one_mapping():
    assert named("maze", ["task.sizes=[5, 7]"]) == {"name": "maze", "sizes": [5, 7]}
    assert named("maze", ["sizes=5"], prefix="") == {"name": "maze", "sizes": 5}
    assert named("maze", None) == {"name": "maze"}
    with pytest.raises(RecipeError, match=r"Write `task\.sizes"):
        named("maze", ["sizes=5"])


def test_lists():
    assert integers("8,1,8", "--k") == (1, 8)
    assert names("rloo, grpo", "--methods") == ("rloo", "grpo")
    for bad in ("", "a", "0,1", "1,"):
        with pytest.raises(RecipeError, match="--k"):
            integers(bad, "--k")
    for bad in ("", "rloo,rloo"):
        with pytest.raises(RecipeError, match="--methods"):
            names(bad, "--methods")
