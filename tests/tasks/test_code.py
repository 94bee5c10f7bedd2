from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from hone.core.errors import RecipeError, RewardError, TaskError
from hone.core.problem import Problem, Verdict
from hone.isolation.sandbox.levels import LEVELS
from hone.isolation.sandbox.probe import Reached, reached
from hone.tasks import make
from hone.tasks.verifiers import Code, code, make_verifier
from hone.tasks.verifiers.program import Tests, program_in, read_tests, same_output

ADD = ["assert add(1, 2) == 3", "assert add(0, 0) == 0", "assert add(2, 2) == 4"]
RIGHT = "def add(a, b): return a + b"
REVERSE = [{"input": "abc\n", "output": "cba"}, {"input": "xx\n", "output": "xx\n"}]
LEVEL = reached().level
here = pytest.mark.skipif(not reached().holds("seccomp"), reason="the default level is not reached here")


def judged(answer: object, text: str, **options: object) -> Verdict:
    verdict = make_verifier("code", **options).verify(Problem(prompt="?", answer=answer, task="test"), text)
    assert verdict.parts == {"sandbox": LEVELS.index(LEVEL)}
    assert verdict.detail.startswith(f"sandbox {LEVEL}: ")
    return verdict


@here
def test_a_program_that_passes_its_tests_is_right() -> None:
    verdict = judged(ADD, f"Let me see.\n```python\n{RIGHT}\n```\nDone.")
    assert (verdict.reward, verdict.status, verdict.answer) == (1.0, "ok", f"{RIGHT}\n")
    assert judged(json.dumps(ADD), RIGHT).reward == 1.0
    assert judged("for i in range(5):\n    assert add(i, i) == 2 * i", RIGHT).reward == 1.0


@here
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("def add(a, b): return 3", "test 2: AssertionError"),
        ("def add(a): return 3", "test 1: TypeError"),
        ("def ad", "the program: SyntaxError"),
        ("1 / 0", "the program: ZeroDivisionError"),
        ("while True: pass", "test 1: not done within 1 s"),
        ("def add(a, b):\n  while a: pass\n  return 0", "test 1: not done within 1 s"),
        ("import os; os._exit(0)", "test 1: it ended the process"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "test 1: it ended with code"),
        ("import sys; sys.exit(0)", "the program: SystemExit"),
        ("while True: print('x' * 100_000)", "test 1: it printed more than"),
        ("x = bytearray(1 << 40)", "the program: MemoryError"),
        ("import os; os.fork()", "the program: PermissionError"),
        ("import socket; socket.socket()", "the program: PermissionError"),
        ("import os; os.kill(os.getppid(), 9)", "the program: PermissionError"),
        ("open('out.txt', 'w')", "the program: PermissionError"),
        ("", "no program found"),
        ("```\n\n```", "no program found"),
        ("#" * 100_001, "longer than 100000 characters"),
    ],
)
def test_a_program_that_fails_in_any_way_is_wrong_and_no_error(program: str, reason: str) -> None:
    verdict = judged(ADD, program, seconds=1)
    assert (verdict.reward, verdict.status) == (0.0, "ok")
    assert reason in verdict.detail


@here
@pytest.mark.parametrize(
    ("program", "reward", "reason"),
    [
        (RIGHT, 1.0, "passed 3 of 3 tests"),
        ("def add(a, b): return 4 if a else 0", 2 / 3, "passed 2 of 3 tests: test 1: AssertionError"),
        (
            "def add(a, b):\n  if not a:\n    while True: pass\n  return a + b",
            1 / 3,
            "passed 1 of 3 tests: test 2: not done",
        ),
        ("def ad", 0.0, "passed 0 of 3 tests: the program: SyntaxError"),
    ],
)
def test_the_share_of_tests_passed(program: str, reward: float, reason: str) -> None:
    verdict = judged(ADD, program, partial=True, seconds=2)
    assert verdict.reward == reward
    assert reason in verdict.detail


@here
@pytest.mark.parametrize(
    ("program", "partial", "reward", "reason"),
    [
        ("print(input()[::-1])", False, 1.0, "passed"),
        ("print(input()[::-1]); import sys; sys.exit(1)", False, 0.0, "test 1: it ended with code 1"),
        ("print('cba')", False, 0.0, "test 2: other output"),
        ("print('cba')", True, 0.5, "passed 1 of 2 tests: test 2: other output"),
        ("print(input()[::-1]); 1 / 0", False, 0.0, "test 1: ZeroDivisionError: division by zero"),
        ("while True: pass", True, 0.0, "passed 0 of 2 tests: test 1: not done within 1 s"),
        ("while 1: print('cba' * 1000)", False, 0.0, "test 1: it printed more than"),
    ],
)
def test_input_and_output(program: str, partial: bool, reward: float, reason: str) -> None:
    seconds = 1 if "while True" in program else 20
    verdict = judged(REVERSE, program, partial=partial, seconds=seconds)
    assert (verdict.reward, verdict.status) == (reward, "ok")
    assert reason in verdict.detail


@here
def test_many_texts_are_judged_in_order() -> None:
    problems = [Problem(prompt="?", answer=[f"assert f() == {i}"], task="test") for i in range(6)]
    texts = [f"def f(): return {i}" for i in (0, 0, 2, 2, 4, 4)]
    verdicts = asyncio.run(Code().verify_all(problems, texts, {}))
    assert [v.reward for v in verdicts] == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]


@here
def test_a_sandbox_that_cannot_be_set_up_is_an_error_not_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verifier = Code()
    object.__setattr__(verifier, "level", "no such level")
    verdict = verifier.verify(Problem(prompt="?", answer=ADD, task="test"), RIGHT)
    assert (verdict.reward, verdict.status) == (None, "error")


@here
def test_a_problem_without_tests_is_an_error() -> None:
    verdict = Code().verify(Problem(prompt="?", answer=7, task="test"), RIGHT)
    assert (verdict.reward, verdict.status) == (None, "error")
    assert "the tests are a int" in verdict.detail


def test_below_the_level_that_is_asked_for_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        code, "reached", lambda: Reached("limits", "a program can open sockets", "Use Linux.")
    )
    with pytest.raises(RewardError) as caught:
        make_verifier("code")
    assert caught.value.what == (
        "`code` is to run programs at the sandbox level `seccomp`, but this machine reaches `limits`: a program can "
        "open sockets."
    )
    assert caught.value.mend.startswith("Use Linux.")
    assert make_verifier("code", sandbox="limits").level == "limits"
    monkeypatch.setattr(code, "reached", lambda: Reached(None, "no python", "Check it."))
    with pytest.raises(RewardError, match="reaches none: no python"):
        make_verifier("code", sandbox="process")


def test_options_are_checked() -> None:
    with pytest.raises(
        RecipeError, match=r"`reward.sandbx` is not an option of `code`. Did you mean `sandbox`"
    ):
        make_verifier("code", sandbx="seccomp")
    with pytest.raises(RecipeError, match=r"reward.sandbox"):
        make_verifier("code", sandbox="jail")
    with pytest.raises(RewardError, match="above 0"):
        make_verifier("code", seconds=0)
    with pytest.raises(TaskError, match="takes no argument"):
        make_verifier("code:x")


@here
def test_a_file_of_problems_with_tests(tmp_path: Path) -> None:
    rows = [{"prompt": f"Write f for {i}.", "test_list": [f"assert f() == {i}"]} for i in range(20)]
    path = tmp_path / "programs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = make(f"jsonl:{path}", answer="test_list", verifier={"name": "code", "partial": True})
    assert task.checker.partial is True
    problem = task.problem(0)
    number = problem.text().split()[-1][:-1]
    assert task.verify(problem, f"def f(): return {number}").reward == 1.0
    path.write_text(json.dumps({"prompt": "?", "test_list": []}))
    with pytest.raises(Exception, match="line 1: the tests are empty"):
        make(f"jsonl:{path}", answer="test_list", verifier="code")
    with pytest.raises(TaskError, match="with a `name`"):
        make(f"jsonl:{path}", answer="test_list", verifier={"partial": True})


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("x = 1", "x = 1"),
        ("```python\nx = 1\n```", "x = 1\n"),
        ("a\n```py\nx = 1\n```\nb\n```\ny = 2\n```\nc", "y = 2\n"),
        ("```python\nx = 1", "x = 1"),
        ("a ``` b", "a ``` b"),
        ("~~~\nx = '```'\n~~~", "x = '```'\n"),
        ("````\n```\nx\n```\n````", "```\nx\n```\n"),
        ("```python\nx = 1\n```\n```python\ny = 2", "y = 2"),
        ("", None),
        (" \n", None),
        ("```", None),
        ("```\n" * 50_000, None),
    ],
)
def test_where_the_program_stands(text: str, program: str | None) -> None:
    assert program_in(text) == program


@pytest.mark.parametrize(
    ("answer", "tests"),
    [
        (ADD, Tests(statements=tuple(ADD))),
        ("assert f()", Tests(statements=("assert f()",))),
        ('["assert f()"]', Tests(statements=("assert f()",))),
        ("7", Tests(statements=("7",))),
        (REVERSE, Tests(pairs=(("abc\n", "cba"), ("xx\n", "xx\n")))),
        ({"inputs": ["1"], "outputs": ["2"]}, Tests(pairs=(("1", "2"),))),
        ('{"inputs": ["1"], "outputs": ["2"]}', Tests(pairs=(("1", "2"),))),
    ],
)
def test_forms_of_tests(answer: object, tests: Tests) -> None:
    assert read_tests(answer) == tests


@pytest.mark.parametrize(
    "answer",
    [
        7,
        None,
        [],
        [1],
        [""],
        ["assert f()", {}],
        [{"input": "1"}],
        {"inputs": ["1"], "outputs": []},
        {},
        "[]",
    ],
)
def test_what_is_no_test_is_refused(answer: object) -> None:
    with pytest.raises(ValueError, match="test"):
        read_tests(answer)


def test_outputs_are_compared_line_by_line() -> None:
    assert same_output("1 \n2\n\n", "1\n2")
    assert same_output("", "\n")
    assert not same_output("1 2", "1\n2")
    assert not same_output(" 1", "1")
