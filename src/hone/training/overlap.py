"""Training problems that the evaluation has too: refused or left out where they come from files, counted elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hone.core.problem import Problem, Task
from hone.tasks import Mixture
from hone.tasks.bad_rows import BadRow, BadRows, refuse
from hone.tasks.left_out import LeftOut
from hone.tasks.splits import Shared
from hone.training.prompts import origin


def keep_apart(task: Task, evaluation: Sequence[Problem]) -> tuple[Task, list[BadRow]]:
    """`task`, or every task of a mixture, without the training problems that another task's `evaluation` has, and
    those, where it was read from files.

    Under the policy `strict` they are a DataError. The splits of one task were kept apart when it was built.
    """
    if isinstance(task, Mixture):
        apart = [keep_apart(part, evaluation) for part in task.tasks]
        return replace(task, tasks=tuple(part for part, _ in apart)), [row for _, bad in apart for row in bad]
    policy, size = getattr(task, "bad_rows", None), task.size("train")
    if policy is None or size is None:
        return task, []
    shared = Shared(evaluation)
    bad: dict[int, BadRow] = {}
    for at in range(size):
        problem = task.problem(at)
        if (other := shared.find(problem)) is not None:
            source, unit, place = origin(evaluation[other], other)
            reason = f"{shared.how(problem)} {source}, {unit} {place}"
            bad[at] = BadRow("in the evaluation split", *origin(problem, at), reason)
    if policy == "strict":
        refuse(task.name, BadRows(size, tuple(bad.values())))
    return (LeftOut(task, "train", frozenset(bad)) if bad else task), list(bad.values())


def in_both(drawn: Sequence[Problem], evaluation: Sequence[Problem]) -> int:
    """How many of `drawn` have the content, or exactly the prompt, of an evaluation problem."""
    ids = {problem.id for problem in evaluation}
    prompts = {problem.text() for problem in evaluation}
    return sum(problem.id in ids or problem.text() in prompts for problem in drawn)
