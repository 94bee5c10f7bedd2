from __future__ import annotations

from pathlib import Path

import pytest

from hone.core.errors import RewardError
from hone.core.loading import load_callable


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_loads_and_imports_its_neighbours_once(tmp_path: Path) -> None:
    write(tmp_path, "value = 3", "beside_hone_test.py")
    file = write(tmp_path, "import beside_hone_test\ncalls = []\ndef f(): calls.append(1); return len(calls)")
    assert load_callable(f"{file}:f")() == 1
    assert load_callable(f"{file}:f")() == 2


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one = write(tmp_path / "a", "def f(): return 1")
    two = write(tmp_path / "b", "def f(): return 2")
    assert (load_callable(f"{one}:f")(), load_callable(f"{two}:f")()) == (1, 2)


@pytest.mark.parametrize("source", ["mine.py", "mine:f", "", ":f", "mine.py:", "mine.py:f.g"])
def test_a_source_of_the_wrong_form(source: str) -> None:
    with pytest.raises(RewardError, match=r"path/to/module.py:function"):
        load_callable(source)


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match=r"no file `.*gone.py`"):
        load_callable(f"{tmp_path}/gone.py:f")
    file = write(tmp_path, "import os\ndef score(): ...\nlimit = 3")
    with pytest.raises(RewardError, match=r"no function `scor`. Did you mean `score`"):
        load_callable(f"{file}:scor")
    with pytest.raises(RewardError, match=r"of type int, not a function"):
        load_callable(f"{file}:limit")
    with pytest.raises(RewardError, match=r"defines no function"):
        load_callable(write(tmp_path, "x = 1", "empty.py") + ":f")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\ny = 1 / 0", r"ZeroDivisionError: division by zero \(bad.py, line 2\)"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import no_such_module_of_mine", "ModuleNotFoundError: No module named 'no_such_module_of_mine'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_raises_is_named_with_its_own_error(tmp_path: Path, text: str, reason: str) -> None:
    file = write(tmp_path, text, "bad.py")
    with pytest.raises(RewardError, match=reason) as caught:
        load_callable(f"{file}:f")
    assert "\n" not in str(caught.value)
