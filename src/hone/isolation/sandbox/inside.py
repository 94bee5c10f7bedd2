"""What runs in the sandboxed process: it takes its own freedom away, level by level, then runs the program.

Started by `run` with a clean environment. It imports nothing but the standard library and its neighbours.
"""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from hone.isolation.linux import die_with_parent
from hone.isolation.sandbox import files, landlock, limits, seccomp
from hone.isolation.sandbox.levels import Level, holds

Report = Callable[[dict[str, Any]], None]
# Bound before the program runs, which may put its own in their place.
_compile, _exec, _write, _dumps = compile, exec, os.write, json.dumps


def main(folder: str) -> None:
    """Read the job, confine this process, run the program. `folder` is where hone was imported from."""
    job_file, reports, parent = map(int, sys.argv[1:])
    with os.fdopen(job_file) as file:
        job = json.load(file)
    report = _reporter(reports, job["token"])
    try:
        confine(job["level"], job["seconds"], job["memory"], parent or None)
    except (OSError, ValueError) as error:
        report({"refused": str(error)})
        os._exit(1)
    sys.path.remove(folder)
    sys.dont_write_bytecode = True  # until now it was good to: the next program's process starts faster
    sys.argv = ["program.py"]
    report({"ready": job["level"]})
    if job["tests"] is None:
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        _exec(_compile(job["program"], "program.py", "exec"), module.__dict__)
    else:
        _test(job["program"], job["tests"], job["stop"], report)
        os._exit(0)


def confine(level: Level, seconds: float, memory: int, parent: int | None) -> None:
    """Hold `level` against this process. OSError or ValueError, naming the level that the kernel refuses."""
    os.chdir("/")
    steps: dict[Level, Callable[[], None]] = {
        "process": lambda: die_with_parent(parent),
        "limits": lambda: limits.impose(seconds, memory, threads=level != "limits"),
        # The filter comes last: it refuses the calls that set the others up.
        "landlock": lambda: landlock.restrict(files.readable()),
        "seccomp": seccomp.install,
    }
    for name, step in steps.items():
        if holds(level, name):
            try:
                step()
            except OSError as error:
                raise OSError(error.errno, f"{name}: {error.strerror}") from error


def _reporter(descriptor: int, token: str) -> Report:
    """Writes lines that begin with a token, which what the program writes there by guess does not have."""

    def report(message: dict[str, Any]) -> None:
        _write(descriptor, f"{token}{_dumps(message)}\n".encode())

    return report


def _test(program: str, tests: list[str], stop: bool, report: Report) -> None:
    """Run the program as a module, then each test in its namespace; one report a test, with what went wrong or ''."""
    module = types.ModuleType("program")
    sys.modules["program"] = module
    wrong = _attempt(program, "program.py", module)
    if wrong:
        report({"program": wrong})
        return
    for number, test in enumerate(tests, start=1):
        wrong = _attempt(test, f"test {number}", module)
        report({"test": number, "wrong": wrong})
        if wrong and stop:
            return


def _attempt(code: str, name: str, module: types.ModuleType) -> str:
    try:
        _exec(_compile(code, name, "exec"), module.__dict__)
    except BaseException as error:  # SystemExit too: a test that ends the program has not passed
        return _named(error)
    return ""


def _named(error: BaseException) -> str:
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"[:300] if str(error) else kind
    except Exception:  # the program's own exceptions may raise when they are written out
        return kind
