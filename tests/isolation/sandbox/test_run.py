from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hone.isolation.sandbox import probe
from hone.isolation.sandbox import run as running
from hone.isolation.sandbox.levels import LEVELS, PROMISES, holds
from hone.isolation.sandbox.run import Job, Limits, Outcome, SandboxError, run

LEVEL = probe.reached().level or "process"


def outcome_of(program: str, *tests: str, stop: bool = True) -> Outcome:
    return run(Job(program, tests, stop=stop), LEVEL, Limits(seconds=30.0))


def test_each_test_is_reported_up_to_the_first_that_fails() -> None:
    tests = ("assert f(1) == 2", "assert f(1) == 3, 'not 3'", "f()", "assert f(2) == 3")
    wrong = ["", "AssertionError: not 3", "TypeError: f() missing 1 required positional argument: 'x'", ""]
    program = "def f(x): return x + 1"
    assert [r["wrong"] for r in outcome_of(program, *tests, stop=False).reports] == wrong
    assert [r["wrong"] for r in outcome_of(program, *tests).reports] == wrong[:2]


def test_a_program_under_test_is_a_module_and_a_script_is_main() -> None:
    assert (
        outcome_of("if __name__ == '__main__': input()", "assert __name__ == 'program'").reports[0]["wrong"]
        == ""
    )
    outcome = run(Job("if __name__ == '__main__': print(input())", stdin="line\n"), LEVEL)
    assert (outcome.stdout, outcome.code, outcome.end) == ("line\n", 0, "exit")


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("1 / 0", 1, "ZeroDivisionError"),
        ("def f(:", 1, "SyntaxError"),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import os; os._exit(0)", 0, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV, ""),
        ("print(input())", 1, "EOFError"),
        ("import sys; print(sys.argv)", 0, ""),
    ],
)
def test_how_scripts_end(program: str, code: int, said: str) -> None:
    outcome = run(Job(program), "process")
    assert (outcome.end, outcome.code) == ("exit", code)
    assert said in outcome.stderr
    assert "hone" not in outcome.stdout


@pytest.mark.parametrize("program", ["1 / 0", "def f(:", "\ud800", "raise SystemExit(0)", "exit()"])
def test_a_program_that_raises_is_said_instead_of_tests(program: str) -> None:
    (report,) = outcome_of(program, "assert True").reports
    assert set(report) == {"program"}


def test_exceptions_that_cannot_be_written_out_are_named() -> None:
    program = "class Odd(Exception):\n    def __str__(self): raise ValueError('no')"
    assert outcome_of(program, "raise Odd()").reports[0]["wrong"] == "Odd"


@pytest.mark.parametrize(
    "program",
    [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        'import os\nfor fd in range(3, 64):\n  try: os.write(fd, b\'{"test": 1, "wrong": ""}\\n\')\n'
        "  except OSError: pass",
        'print(\'{"test": 1, "wrong": ""}\')',
        "import builtins; builtins.exec = lambda *a: None; builtins.compile = lambda *a: None",
        'import os, json; os.write = lambda *a: 0; json.dumps = lambda *a: \'{"test": 1, "wrong": ""}\'',
        "import sys; sys.modules['__main__'].__dict__.clear()",
    ],
)
def test_results_are_not_had_by_cheap_tricks(program: str) -> None:
    outcome = outcome_of(program, "assert False")
    assert not any(report.get("wrong") == "" for report in outcome.reports)


def test_input_of_any_size_is_there_at_once() -> None:
    text = "7" * 3_000_000 + "\n"
    assert run(Job("print(len(input()))", stdin=text), LEVEL).stdout == "3000000\n"


def test_a_program_is_started_with_little_of_hone_around_it() -> None:
    outcome = run(Job("import sys; print(*(m for m in sys.modules if m.startswith('hone')))"), "process")
    modules = outcome.stdout.split()
    assert modules
    around = {"hone", "hone.core", "hone.core.openmp"}  # importing hone says how OpenMP threads wait
    assert all(module in around or module.startswith("hone.isolation") for module in modules)


def test_strings_hash_alike_in_every_run() -> None:
    assert len({run(Job("print(hash('text'))"), "process").stdout for _ in range(2)}) == 1


def test_what_cannot_be_set_up_is_no_verdict_on_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_INSIDE", "raise ImportError('broken')")
    with pytest.raises(SandboxError, match="process: ImportError: broken"):
        run(Job("pass"), "process")
    monkeypatch.setattr(running, "_INSIDE", "while True: pass")
    monkeypatch.setattr(running, "START_SECONDS", 0.2)
    with pytest.raises(SandboxError, match="not ready in"):
        run(Job("pass"), "process")


def test_levels_are_ordered_and_each_says_what_it_promises() -> None:
    assert list(PROMISES) == list(LEVELS)
    assert holds("landlock", "seccomp")
    assert holds("seccomp", "seccomp")
    assert not holds("limits", "seccomp")


def test_the_probe_names_what_is_missing_and_stops_there(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"seccomp": "a program can open sockets"}
    monkeypatch.setattr(probe, "failure", lambda level: broken.get(level, ""))
    found = probe.reached.__wrapped__()
    assert (found.level, found.reason) == ("limits", "a program can open sockets")
    assert "allows `seccomp`" in found.mend
    assert found.holds("limits")
    assert not found.holds("seccomp")
    monkeypatch.setattr(probe, "failure", lambda level: "python does not start")
    assert probe.reached.__wrapped__().level is None


def test_the_probe_does_not_believe_a_level_that_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = probe.run
    monkeypatch.setattr(probe, "run", lambda job, level, limits: real(job, "process", limits))
    assert probe.failure("process") == ""
    assert "a program can open sockets" in probe.failure("seccomp")
    assert "a program can read files" in probe.failure("landlock")


def test_the_probe_says_that_bubblewrap_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe.bubblewrap.shutil, "which", lambda name: None)
    monkeypatch.setattr(probe, "LEVELS", ("bubblewrap",))
    found = probe.reached.__wrapped__()
    assert (found.reason, found.mend) == ("bubblewrap is not installed", "apt-get install bubblewrap.")


OWNER = """
from hone.isolation.sandbox.run import Job, Limits, run
run(Job("while True: pass"), "{level}", Limits(seconds=600))
"""


def ticks(process: int) -> int:
    """Processor time a process has taken, in hundredths of a second; -1 once it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return -1
    return -1 if fields[0] == "Z" else int(fields[11])


@pytest.mark.parametrize("level", ["process", "seccomp"])
def test_no_program_survives_an_owner_that_is_killed(level: str) -> None:
    if not probe.reached().holds(level):
        pytest.skip(f"{level} is not reached here")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    owner = subprocess.Popen([sys.executable, "-c", OWNER.format(level=level)], env=env)
    children = Path(f"/proc/{owner.pid}/task/{owner.pid}/children")
    for _ in range(3000):  # until the program has long been running
        found = children.read_text().split()
        if found and ticks(int(found[0])) > 100:
            break
        time.sleep(0.02)
    program = int(children.read_text().split()[0])
    owner.kill()
    owner.wait()
    for _ in range(1000):
        if ticks(program) < 0:
            return
        time.sleep(0.02)
    os.kill(program, signal.SIGKILL)
    raise AssertionError("the program goes on")
