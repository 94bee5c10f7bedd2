"""What a run's data is: checked before step one, said in a few sentences, and written into data.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hone.core.errors import DataError
from hone.core.method import Method
from hone.core.problem import Problem, Split, Task, content_id
from hone.core.recipe import Recipe
from hone.policies.token_policy import TokenPolicy
from hone.tasks.bad_rows import BadRow, BadRows, of_files, said
from hone.training.disk import write_whole
from hone.training.folder import RunFolder
from hone.training.overlap import in_both, keep_apart
from hone.training.prompts import Checked, Room, fit, fit_sample

FILE = "data.json"
SAMPLE = 64  # problems that are drawn ahead of a run, to look at


@dataclass(frozen=True)
class Data:
    """The tasks of a run without what was left out, what a person should know of them, and the whole record."""

    task: Task
    eval_task: Task
    notes: tuple[str, ...]
    record: Mapping[str, Any]


def prepare(
    recipe: Recipe, method: Method, task: Task, eval_task: Task, policy: TokenPolicy, step: int = 0
) -> Data:
    """Check the problems of a run that has finished `step` steps, and leave out what its tasks say to leave out.

    Problems of files are checked all, of other tasks the first that the run draws. Raises DataError for training
    problems of the evaluation and for an empty split, RecipeError for problems that do not fit the context.
    """
    files = [*of_files(task), *(of_files(eval_task) if eval_task is not task else ())]
    left: list[BadRow] = []
    if eval_task is not task:
        task, shared = keep_apart(task, _held_out(recipe, eval_task))
        left += shared
    answer = recipe.max_completion_length
    task, train = fit(task, "train", Room(policy, _answer(method, answer)))
    eval_task, test = fit(eval_task, "test", Room(policy, answer))
    left += [row for found in (*train, *test) for row in found.bad.values()]
    trains_on_test = getattr(method.curriculum, "trains_on_test", False)
    if trains_on_test:
        task = eval_task  # without the held-out problems that do not fit
    elif task.size("train") == 0:
        raise DataError(f"`{task.name}` has no training problems.", "Give it more problems.")
    drawn, held_out = _drawn(recipe, method, task, step), _held_out(recipe, eval_task)
    if not listed(task):
        train.append(fit_sample(task, drawn, Room(policy, _answer(method, answer))))
    if not listed(eval_task):
        test.append(fit_sample(eval_task, held_out, Room(policy, answer)))
    rows = _all(files, left)
    record = {
        "task": task.name,
        "eval_task": eval_task.name,
        "splits": {"train": task.size("train"), "test": eval_task.size("test")},
        "digest": _digest(task, eval_task),
        "rows": {**rows.record(), "notes": list(rows.notes)},
        "prompts": {
            "train": _looks(train, task, "train"),
            "test": _looks(test, eval_task, "test"),
            "context": policy.max_context,
        },
        "overlap": {  # the problems of files were all compared, and what is in both is not here any more
            "looked_at": task.size("train") if listed(task) else len(drawn),
            "held_out": len(held_out),
            "in_both": in_both(drawn, held_out),
            "asked_for": trains_on_test,
        },
    }
    return Data(task, eval_task, (*said(rows, f"; a run lists them in {FILE}"), _words(record)), record)


def prepare_evaluation(task: Task, split: Split, room: Room, problems: int) -> tuple[Task, list[str]]:
    """`task` without the problems of `split` that its files say to leave out, and what should be said of that.

    Raises RecipeError for problems that do not fit the context.
    """
    task, found = fit(task, split, room)
    if not listed(task):
        size = task.size(split)
        count = problems if size is None else min(problems, size)
        found.append(fit_sample(task, [task.problem(i, split) for i in range(count)], room))
    rows = _all(list(of_files(task)), [row for each in found for row in each.bad.values()])
    return task, said(rows)


def _all(files: Sequence[Any], left: Sequence[BadRow]) -> BadRows:
    """The bad rows of several tasks, and those that a run leaves out besides."""
    rows = [row for part in files for row in part.bad.rows]
    notes = [note for part in files for note in part.bad.notes]
    return BadRows(sum(part.bad.read for part in files), (*rows, *left), tuple(notes))


def listed(task: Task) -> bool:
    """Whether all problems of `task` are those of a file."""
    return hasattr(task, "bad")


def _answer(method: Method, longest: int) -> int | None:
    """Tokens to keep free for an answer in training; None: as many as the oracle has."""
    if method.episode.samples:
        return longest
    # How long a solver's answer becomes is not known before it is written.
    return 1 if getattr(method.episode, "mix", None) else None


def _held_out(recipe: Recipe, task: Task) -> list[Problem]:
    """All held-out problems of a file, or those that an evaluation takes of another task."""
    size = task.size("test")
    count = size if size is not None and listed(task) else min(recipe.eval.problems, size or 1 << 60)
    return [task.problem(i, "test") for i in range(count)]


def _drawn(recipe: Recipe, method: Method, task: Task, step: int) -> list[Problem]:
    """The first different training problems that the run draws after `step` steps, at most SAMPLE of them.

    It looks at SAMPLE steps and no further: a task with fewer problems would be drawn from to the end of the run.
    """
    state = method.curriculum.init(task, recipe.seed)
    found: dict[str, Problem] = {}
    for number in range(step + 1, min(recipe.steps, step + SAMPLE) + 1):
        requests, state = method.curriculum.draw(state, task, number, [])
        found.update({request.problem.id: request.problem for request in requests})
        if len(found) >= SAMPLE:
            break
    return list(found.values())[:SAMPLE]


def _looks(found: Sequence[Checked], task: Task, split: Split) -> dict[str, int | None]:
    """How many problems were looked at, of how many if they are those of files, and the most tokens that one takes."""
    looked_at = sum(c.count for c in found)
    whole = (task.size(split) or 0) + sum(len(c.bad) for c in found) if listed(task) else None
    return {"looked_at": looked_at, "of": whole, "longest": max((c.longest for c in found), default=0)}


def _words(record: Mapping[str, Any]) -> str:
    """What was looked at, in one sentence."""
    counts = []
    for split in ("train", "test"):
        looks = record["prompts"][split]
        partly = looks["of"] is not None and looks["looked_at"] < looks["of"]
        counts.append(
            f"{looks['looked_at']:,}" + (f" (of {looks['of']:,}, for want of time)" if partly else "")
        )
    longest = max(record["prompts"][split]["longest"] for split in ("train", "test"))
    overlap = record["overlap"]
    both = f"{overlap['in_both']} of {overlap['looked_at']} drawn are" if overlap["in_both"] else "none is"
    return (
        f"looked at {counts[0]} training and {counts[1]} held-out problems: the longest takes {longest:,} of "
        f"{record['prompts']['context']:,} tokens with its answer, {both} in both"
        + (
            ": the run trains on them, without their labels, as its curriculum says"
            if overlap["asked_for"]
            else ""
        )
    )


def _digest(task: Task, eval_task: Task) -> str | None:
    """A name for the problems of a run whose data are files, to see whether they changed; None for others."""
    if not listed(task) or not listed(eval_task):
        return None
    splits: tuple[tuple[Task, Split], ...] = ((task, "train"), (eval_task, "test"))
    ids = [[each.problem(i, split).id for i in range(each.size(split) or 0)] for each, split in splits]
    return content_id(ids)


def write(folder: RunFolder, record: Mapping[str, Any]) -> str:
    """Write data.json; returns what should be said if the data are not those that the run began with."""
    path = folder.path / FILE
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    write_whole(path, json.dumps(record, indent=2) + "\n")
    if before and before.get("digest") != record["digest"]:
        return (
            f"the data changed since the run began: {before.get('splits')} problems then, "
            f"{record['splits']} now, and not the same ones"
        )
    return ""
