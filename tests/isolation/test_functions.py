from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hone.core.errors import RewardError
from hone.core.problem import Problem, Verdict
from hone.isolation.functions import WorkerFunction

PROBLEMS = [
    Problem(
        prompt=({"role": "user", "content": f"q{i}"},), answer=str(i), task="t", level=2.5,
        meta={"columns": {"answer": str(i), "level": i}},
    )
    for i in range(4)
]  # fmt: skip
SOURCE = """
import os, signal, sys, time
from hone.core.problem import Verdict
print("imported")

def plain(problem, text):
    assert problem.prompt == ({"role": "user", "content": "q" + problem.answer},)
    signal.alarm(60); signal.alarm(0)  # works in main threads only
    return Verdict(float(text == problem.answer), answer=[problem.id, problem.level], parts={"length": len(text)})

def listed(prompts, completions, level, trainer_state, log_extra, **columns):
    assert completions[0][0]["role"] == "assistant"
    log_extra("process", [str(os.getpid())] * len(completions))
    return [trainer_state["global_step"] + l for l in level]

def mixed(text, answer):
    if text == "raise": raise KeyError("gone")
    if text == "hang": time.sleep(600)
    if text == "die": os._exit(3)
    if text == "nan": return float("nan")
    if text == "huge": return 1e300
    if text == "word": return "good"
    if text == "none": return None
    if text == "print": print("noise"); return 1.0
    if text == "memory": return len(bytearray(1 << 40))
    if text == "exit": sys.exit(1)
    if text == "fork": os.fork(); return 1.0
    if text == "fraction": from fractions import Fraction; return Verdict(1.0, answer=Fraction(1, 2))
    return float(text == answer)

def short(completions, **columns):
    return [1.0]

def column(completions, solution, **columns):
    return completions

async def later(text, answer):
    return 0.5

def tensors(text, answer):
    import torch
    return 1.0
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("functions") / "mine.py"
    path.write_text(SOURCE)
    return path


def score(function: WorkerFunction, texts: list[str]) -> list[Verdict]:
    problems = [PROBLEMS[i % len(PROBLEMS)] for i in range(len(texts))]
    return asyncio.run(function.score(problems, texts, {"global_step": 10}))


def test_a_function_for_each_text_sees_the_whole_problem(file: Path) -> None:
    verdicts = score(WorkerFunction(f"{file}:plain"), ["0", "x", "2"])
    assert [v.reward for v in verdicts] == [1.0, 0.0, 1.0]
    assert verdicts[0].answer == [PROBLEMS[0].id, 2.5]
    assert verdicts[0].parts == {"length": 1}


def test_the_list_form_is_called_once_for_all(file: Path) -> None:
    function = WorkerFunction(f"{file}:listed")
    assert (function.form, function.seconds) == ("trl", 600)
    verdicts = score(function, ["a"] * 4)
    assert [v.reward for v in verdicts] == [10.0, 11.0, 12.0, 13.0]
    assert len({v.detail for v in verdicts}) == 1
    assert score(function, []) == []


def test_what_one_text_does_is_its_own_affair(file: Path) -> None:
    texts = [
        "0",
        "raise",
        "2",
        "hang",
        "0",
        "die",
        "2",
        "nan",
        "huge",
        "word",
        "none",
        "print",
        "memory",
        "exit",
    ]
    texts += ["fork", "fraction", "0"]
    verdicts = score(WorkerFunction(f"{file}:mixed", seconds=2.0), texts)
    told = {text: verdict for text, verdict in zip(texts, verdicts) if len(text) > 1}
    assert [v.reward for t, v in zip(texts, verdicts) if len(t) == 1] == [1.0, 1.0, 1.0, 1.0, 1.0]
    assert {t: v.status for t, v in told.items()} == {
        "raise": "error", "hang": "timeout", "die": "error", "nan": "error", "huge": "error", "word": "error",
        "none": "not_applicable", "print": "ok", "memory": "error", "exit": "error", "fork": "ok", "fraction": "error",
    }  # fmt: skip
    assert told["raise"].detail.startswith("KeyError: 'gone' (mine.py, line ")
    assert told["die"].detail == "the worker ended with exit code 3"
    assert told["hang"].detail == "no result within 2 s"
    assert told["huge"].detail == "it returned 1e+300, which is beyond 1e+06"
    assert told["print"].detail == "noise"
    assert "MemoryError" in told["memory"].detail
    assert "not JSON" in told["fraction"].detail


def test_a_list_of_the_wrong_length_is_an_error_of_every_text(file: Path) -> None:
    verdicts = score(WorkerFunction(f"{file}:short"), ["a", "b"])
    assert [v.status for v in verdicts] == ["error", "error"]
    assert f"`{file}:short` returned 1 values for 2 completions" in verdicts[0].detail


def test_a_missing_column_is_refused_by_name(file: Path) -> None:
    with pytest.raises(RewardError, match=r"needs `solution`.*They have answer, level"):
        score(WorkerFunction(f"{file}:column"), ["a"])


def test_problems_that_cannot_travel_are_refused(file: Path) -> None:
    problem = Problem(prompt="?", answer={1, 2}, task="sets")
    with pytest.raises(RewardError, match=r"problems of `sets` cannot be sent.*set is not JSON"):
        asyncio.run(WorkerFunction(f"{file}:mixed").score([problem], ["a"], {}))


def test_async_functions_work(file: Path) -> None:
    assert [v.reward for v in score(WorkerFunction(f"{file}:later"), ["a", "b"])] == [0.5, 0.5]


def test_torch_is_refused_with_the_way_out(file: Path, tmp_path: Path) -> None:
    verdict = score(WorkerFunction(f"{file}:tensors"), ["a"])[0]
    assert verdict.status == "error"
    assert "Write `inprocess:`" in verdict.detail
    (tmp_path / "model.py").write_text("import torch\ndef f(text, answer): return 1.0")
    with pytest.raises(RewardError, match=r"model\.py.*Write `inprocess:`"):
        WorkerFunction(f"{tmp_path}/model.py:f")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1 / 0", "ZeroDivisionError"),
        ("import os; os._exit(5)", "exit code 5"),
        ("def f(a, b): return 1", "no known form"),
        ("def g(text, answer): return 1", "Did you mean `g`|no function `f`"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_harms_nobody(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(RewardError, match=reason):
        WorkerFunction(f"{tmp_path}/bad.py:f")


def test_a_relative_path_is_that_of_the_moment_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine.py").write_text(f"def f(text, answer): return {number}")
        monkeypatch.chdir(folder)
        functions.append(WorkerFunction("mine.py:f"))
    assert [score(function, ["a"])[0].reward for function in functions] == [1.0, 2.0]


def test_limits_are_those_of_the_form_unless_given_and_are_checked(file: Path) -> None:
    assert [WorkerFunction(f"{file}:{name}").seconds for name in ("listed", "mixed")] == [600, 60]
    assert WorkerFunction(f"{file}:mixed", seconds=5).seconds == 5
    for options in ({"seconds": -1}, {"memory_gib": 0}):
        with pytest.raises(RewardError, match=r"`reward.(seconds|memory_gib)` is (-1|0)"):
            WorkerFunction(f"{file}:mixed", **options)
