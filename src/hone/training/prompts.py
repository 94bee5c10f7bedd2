"""Whether prompts and answers fit the model's context, before anything is sampled or learnt from."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hone.core.errors import RecipeError
from hone.core.problem import Problem, Split, Task
from hone.policies.token_policy import TokenPolicy
from hone.tasks import Mixture
from hone.tasks.bad_rows import BadRow, BadRowError, BadRows
from hone.tasks.left_out import LeftOut

SECONDS = 20.0  # that refusing may take; what is left out must not depend on the speed of the machine
CHUNK = 256  # problems between two looks at the clock


@dataclass(frozen=True)
class Room:
    """The context of a policy, and what an answer takes of it: `answer` tokens, or the oracle's if that is None."""

    policy: TokenPolicy
    answer: int | None

    def tokens(self, problem: Problem) -> int:
        """What a problem and its answer take. Raises BadRowError if that is more than the context, or unknown."""
        prompt = len(self.policy.encode(problem.prompt))
        if self.answer is not None:
            words, answer = "`max_completion_length`", self.answer
        elif problem.oracle is None:
            raise BadRowError("missing oracle", "it has no reference solution to learn from")
        else:
            words, answer = "a solution of", len(self.policy.encode_answer(problem.oracle))
        limit = self.policy.max_context
        if prompt + answer > limit:
            raise BadRowError(
                "prompt over the context",
                f"{prompt:,} tokens and {words} {answer:,}, in a context of {limit:,}",
            )
        return prompt + answer


@dataclass(frozen=True)
class Checked:
    """How many problems were looked at, the most tokens that one of them takes, and those that do not fit."""

    count: int
    longest: int
    bad: dict[int, BadRow]  # by their place among the problems that were looked at


def check(
    problems: Iterable[Problem],
    room: Room,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> Checked:
    """Look at `problems` in order, for `seconds` at most; the first CHUNK are always looked at."""
    began, count, longest = clock(), 0, 0
    bad: dict[int, BadRow] = {}
    for at, problem in enumerate(problems):
        if at and at % CHUNK == 0 and clock() - began > seconds:
            break
        count = at + 1
        try:
            longest = max(longest, room.tokens(problem))
        except BadRowError as error:
            bad[at] = BadRow(error.kind, *origin(problem, at), str(error))
    return Checked(count, longest, bad)


def origin(problem: Problem, at: int) -> tuple[str, str, int]:
    """Where a problem comes from: its file and line, or its task and its place there."""
    for unit in ("line", "row"):
        if unit in problem.meta:
            return str(problem.meta["source"]), unit, int(problem.meta[unit])
    return problem.task, "problem", at


def fit(task: Task, split: Split, room: Room) -> tuple[Task, list[Checked]]:
    """`task`, or every task of a mixture, checked whole where it comes from files: problems that do not fit are
    refused with a RecipeError, or left out, as its `bad_rows` says. Other tasks have no such list to check.
    """
    if isinstance(task, Mixture):
        fitted = [fit(part, split, room) for part in task.tasks]
        parts = tuple(part for part, _ in fitted)
        return dataclasses.replace(task, tasks=parts), [c for _, found in fitted for c in found]
    policy = getattr(task, "bad_rows", None)
    size = task.size(split)
    if policy is None or size is None:
        return task, []
    problems = (task.problem(i, split) for i in range(size))
    found = check(problems, room, math.inf if policy == "skip" else SECONDS)
    if found.bad and policy == "strict":
        raise too_long(task, found, ", or leave them out with `task.bad_rows=skip`")
    return (LeftOut(task, split, frozenset(found.bad)) if found.bad else task), [found]


def fit_sample(task: Task, problems: Sequence[Problem], room: Room) -> Checked:
    """Check some problems of a task that has no end. Raises RecipeError if one does not fit."""
    found = check(problems, room)
    if found.bad:
        raise too_long(task, found, "")
    return found


def too_long(task: Task, found: Checked, mend: str) -> RecipeError:
    """The error that lists the problems of `task` that cannot be used."""
    bad = BadRows(found.count, tuple(found.bad.values()))
    return RecipeError(
        f"`{task.name}`: {bad.words()} cannot be used.",
        f"Lower `max_completion_length`, mend the problems, take a model with a longer context{mend}.",
        bad.lines(),
    )
