"""Guided prompts: where a solution may be cut, whether a piece of it gives the answer away, and how it is shown."""

from __future__ import annotations

import re
from typing import Literal

from hone.core.errors import TaskError
from hone.core.problem import Problem, Prompt, Task
from hone.core.stages import Request

Form = Literal["auto", "continuation", "instruction"]
UNGUIDED, GUIDED = 0, 1  # variants of a request

# The authors' wording is not published; this says what the paper says that theirs does.
INSTRUCTION = (
    "{problem}\n\n"
    "The beginning of a correct solution is given below. Study it and work out which steps it already gives; you may "
    "look back at them and check them. Then complete the solution from exactly where it stops, to the end, and give "
    "the final answer in the form that the problem asks for.\n\n"
    "Beginning of the solution:\n{prefix}"
)


def units(oracle: str) -> list[int]:
    """Where the units of a solution end: its words, or its characters if there is no white space between any.

    A word ends before the white space that follows it, so that what a model writes next begins as its tokens do.
    """
    text = oracle.rstrip()
    if re.search(r"\S\s+\S", text):
        return [match.end() for match in re.finditer(r"\S+", text)]
    return list(range(1, len(text) + 1))


def places(oracle: str, cuts: int, max_share: float) -> tuple[int, ...]:
    """Offsets at which `oracle` may be cut: `cuts` of them, evenly spaced in units, the last at `max_share` of them.

    Rounded to whole units, of which the first is at least one and the last leaves at least one; equal ones are one.
    Empty for a solution so short that not one unit lies within the share.
    """
    ends = units(oracle)
    most = min(int(max_share * len(ends) + 1e-9), len(ends) - 1)
    chosen = {round(most * i / cuts) for i in range(1, cuts + 1)} - {0}
    return tuple(ends[count - 1] for count in sorted(chosen)) if most >= 1 else ()


def leaks(task: Task, problem: Problem, prefix: str) -> bool:
    """Whether `prefix` already has the final answer: for the verifier, for the parser, or as a word of its text.

    The last is cautious: an intermediate result that equals the answer counts as well.
    """
    if (task.verify(problem, prefix).reward or 0) > 0:
        return True
    answer = task.parse(prefix)
    if answer is not None and task.same(answer, problem.answer):
        return True
    if not isinstance(problem.answer, str | int | float) or isinstance(problem.answer, bool):
        return False
    words = str(problem.answer).strip()
    return bool(words) and re.search(rf"(?<![\w.]){re.escape(words)}(?!\w|\.\d)", prefix) is not None


def show(problem: Problem, prefix: str, form: Form) -> tuple[Prompt, str]:
    """The guided prompt, and the text that stands before the answer when it is judged.

    `continuation` puts the prefix at the end of a text prompt, and the model goes on; `instruction` puts it into the
    last message of a chat, or into a text, under words that ask for the rest; `auto` takes the first for text and the
    second for chats. Raises TaskError for a chat that cannot be shown so.
    """
    chat = not isinstance(problem.prompt, str)
    if form == "continuation" and chat:
        raise TaskError(
            f"Problem {problem.id} of `{problem.task}` is a chat, whose answer cannot begin inside its prompt.",
            "Set `curriculum.form=instruction`.",
        )
    if isinstance(problem.prompt, str):
        if form != "instruction":
            return problem.prompt + prefix, prefix
        return INSTRUCTION.format(problem=problem.prompt, prefix=prefix), _joined(prefix, problem)
    *before, last = problem.prompt
    if last.get("role") != "user":
        raise TaskError(
            f"The chat of problem {problem.id} of `{problem.task}` ends with a message of {last.get('role')!r}.",
            "Guided prompts need chats whose last message is the user's.",
        )
    said = {**last, "content": INSTRUCTION.format(problem=last["content"], prefix=prefix)}
    return (*before, said), _joined(prefix, problem)


def _joined(prefix: str, problem: Problem) -> str:
    """The prefix as it is judged with an answer that begins anew: white space parts words that were cut between."""
    worded = problem.oracle is not None and re.search(r"\S\s+\S", problem.oracle.rstrip()) is not None
    return prefix + "\n" if worded else prefix


def request(problem: Problem, count: int, group: int, prefix: str | None, form: Form) -> Request:
    """Attempts at `problem`, with `prefix` in the prompt where there is one. The prefix is never among the actions."""
    if prefix is None:
        return Request(problem, count, group, UNGUIDED)
    prompt, judged = show(problem, prefix, form)
    return Request(problem, count, group, GUIDED, prompt=prompt, prefix_text=judged)
