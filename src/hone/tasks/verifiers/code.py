"""`code`: the answer is a Python program; the problem's tests, run in a sandbox, say whether it is right."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from hone.core.errors import RewardError
from hone.core.problem import Problem, Verdict
from hone.isolation.pool import MEMORY_GIB, Answer, pool
from hone.isolation.sandbox.levels import LEVELS, Level
from hone.isolation.sandbox.probe import reached
from hone.isolation.sandbox.run import MOST_OUTPUT, START_SECONDS, Job, Limits, Outcome, run
from hone.tasks.verifiers.contract import InWorkers
from hone.tasks.verifiers.program import Tests, program_in, read_tests, same_output

MOST_CHARACTERS = 100_000  # of a program; a longer one is wrong without being run


@dataclass(frozen=True)
class Code(InWorkers):
    """Runs the program in a text against the tests in the problem's answer (see `program.read_tests`).

    The program is the last fenced block, else the whole text. Reward 1 if it passes all tests, or with `partial` the
    share that it passes. A program that raises, hangs, crashes or is refused something by the sandbox is wrong: reward
    0. A sandbox that cannot be set up is an error. `seconds` are for all tests of a program together, `memory_gib` is
    its address space.

    `sandbox` is the weakest level that will do; always used is the strongest that works here, which every verdict
    names (`parts["sandbox"]` is its place among the levels, from 0). RewardError at construction below it.

    Statements run in the program's own process, in order; one that hangs or ends the process fails with all after it.
    A program that attacks them can forge their results: tests by input and output cannot be forged.
    """

    partial: bool = False
    sandbox: Level = "seccomp"
    seconds: float = 10.0
    memory_gib: float = 1.0
    name: str = field(default="code", init=False)
    level: Level = field(default="process", init=False)

    def __post_init__(self) -> None:
        for key in ("seconds", "memory_gib"):
            if not getattr(self, key) > 0:
                raise RewardError(
                    f"`{key}` of the verifier `code` is {getattr(self, key)}.", "It must be above 0."
                )
        here = reached()
        if here.level is None or not here.holds(self.sandbox):
            raise RewardError(
                f"`code` is to run programs at the sandbox level `{self.sandbox}`, but this machine reaches "
                f"{f'`{here.level}`' if here.level else 'none'}: {here.reason}.",
                f"{here.mend} Or lower `sandbox`, if you trust the programs.",
            )
        object.__setattr__(self, "level", here.level)

    def parse(self, text: str) -> str | None:
        """The program, or None if there is none."""
        return program_in(text)

    def gold(self, answer: Any) -> Tests:
        """The problem's tests. ValueError if it has none."""
        return read_tests(answer)

    def same(self, a: str | None, b: str | None) -> bool:
        """The same text: which programs do the same is not known."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The text."""
        return answer or ""

    def ask(self, problem: Problem, text: str) -> Future[Answer] | Verdict:
        """The results of the tests. ValueError if the problem has none."""
        tests, program = self.gold(problem.answer), self.parse(text)
        if program is None:
            return self._verdict(0.0, None, "no program found")
        if len(program) > MOST_CHARACTERS:
            return self._verdict(0.0, None, f"the program is longer than {MOST_CHARACTERS} characters")
        args = [
            program,
            tests.statements,
            tests.pairs,
            self.level,
            self.seconds,
            self.memory_gib,
            self.partial,
        ]
        patience = self.seconds + START_SECONDS * (1 + len(tests.pairs))
        # A worker cannot give a program more than it has itself.
        return pool("code", MEMORY_GIB + self.memory_gib).submit(
            "hone.tasks.verifiers.code:judged", args, patience
        )

    def read(self, problem: Problem, text: str, answer: Answer) -> Verdict:
        """Reward 1 if all passed, else 0, or with `partial` the share."""
        passed, count, reason = answer.value
        detail = (
            f"passed {passed} of {count} tests" if self.partial else "passed" if passed == count else "failed"
        )
        share = passed / count if self.partial else float(passed == count)
        return self._verdict(share, self.parse(text), f"{detail}{f': {reason}' if reason else ''}")

    def _verdict(self, reward: float, program: str | None, detail: str) -> Verdict:
        parts = {"sandbox": float(LEVELS.index(self.level))}
        return Verdict(reward, answer=program, parts=parts, detail=f"sandbox {self.level}: {detail}")


# What follows runs in a worker, which starts one sandboxed process for the statements, or one for each pair.


def judged(
    program: str,
    statements: list[str],
    pairs: list[tuple[str, str]],
    level: Level,
    seconds: float,
    memory_gib: float,
    partial: bool,
) -> tuple[int, int, str]:
    """How many tests the program passes, of how many, and why the first one fails that does."""
    if statements:
        job = Job(program, tuple(statements), stop=not partial)
        return _statements(run(job, level, Limits(seconds, memory_gib)), len(statements), seconds)
    passed, reason, left = 0, "", seconds
    for number, (given, wanted) in enumerate(pairs, start=1):
        if reason and not partial:
            break
        if left <= 0:
            reason = reason or f"test {number}: {_late(seconds)}"
            break
        outcome = run(Job(program, stdin=given), level, Limits(left, memory_gib))
        left -= outcome.seconds
        wrong = _wrong(outcome, seconds) or ("" if same_output(outcome.stdout, wanted) else "other output")
        passed += not wrong
        reason = reason or (f"test {number}: {wrong}" if wrong else "")
    return passed, len(pairs), reason


def _statements(outcome: Outcome, count: int, seconds: float) -> tuple[int, int, str]:
    reports = outcome.reports
    passed = sum(report.get("wrong") == "" for report in reports)
    for report in reports:
        if "program" in report:
            return 0, count, f"the program: {report['program']}"
        if report["wrong"]:
            return passed, count, f"test {report['test']}: {report['wrong']}"
    if passed == count:
        return passed, count, ""
    return passed, count, f"test {passed + 1}: {_wrong(outcome, seconds) or 'it ended the process'}"


def _wrong(outcome: Outcome, seconds: float) -> str:
    """What is wrong with the way a program ended, or an empty string."""
    if outcome.end == "timeout":
        return _late(seconds)
    if outcome.end == "flood":
        return f"it printed more than {MOST_OUTPUT} bytes"
    if outcome.code:
        said = outcome.stderr.strip().splitlines()
        return said[-1][:300] if said and outcome.code > 0 else f"it ended with code {outcome.code}"
    return ""


def _late(seconds: float) -> str:
    return f"not done within {seconds:g} s"
