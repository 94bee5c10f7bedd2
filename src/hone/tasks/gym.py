"""`rg:<name>`: the procedural tasks of reasoning-gym, with a strict reward and a split.

Everything of reasoning-gym runs in workers: some of its generators depend on the process's string hashes,
some of its scorers evaluate what the policy wrote, and a few can run for minutes.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, get_type_hints

from hone.core.errors import TaskError, nearest
from hone.core.options import TRUTH, misplaced_truth
from hone.core.problem import Problem, Split, Verdict, split_of, stable_hash
from hone.isolation.pool import Answer, Pool, WorkerError, pool
from hone.isolation.values import problem_of, problem_value
from hone.tasks.procedural import check_index
from hone.tasks.verifiers.contract import InWorkers
from hone.tasks.verifiers.number import one_number
from hone.tasks.verifiers.reading import final

MAX_CHARACTERS = 100_000  # of an answer; a longer one is wrong without being scored
ATTEMPTS = 500
GENERATE_SECONDS = 300.0
SCORE_SECONDS = 30.0
_NEEDS = ("reasoning_gym",)
_MARK = re.compile(r"^[ \t*]*(?:final )?answer[ \t]*:[ \t*]*", re.IGNORECASE | re.MULTILINE)
_TAG, _END_TAG = re.compile("<answer>", re.IGNORECASE), re.compile("</answer>", re.IGNORECASE)


@dataclass(frozen=True)
class Gym(InWorkers):
    """The reasoning-gym task `dataset`, built with `options` of its configuration.

    Reward 1 only for a score of exactly 1.0; the raw score is `parts["score"]`, for over half of the scorers
    pay something for nonsense. The answer is what the last `<answer>...</answer>` holds, else all that
    follows the last line that begins with `Answer:`, else the whole text. `level` is the metadata's
    difficulty where that is a number. TaskError if the task is unknown, cannot be built, or refuses its
    options.
    """

    dataset: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"rg:{self.dataset}")
        object.__setattr__(self, "options", dict(self.options))
        reason = _ask("refusal", self.dataset, self._json)
        if reason:
            raise TaskError(*reason)

    @property
    def _json(self) -> str:
        return json.dumps(self.options, sort_keys=True)

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The problem at `index`: the first of a sequence of items whose content belongs to `split`.

        Its `answer` is None for tasks whose scorer needs no reference answer; `meta["seed"]` and
        `meta["options"]` make the item again.
        """
        check_index(self.name, index, None)
        return _problem(self.dataset, self._json, index, split)

    def size(self, split: Split = "train") -> int | None:
        """None: reasoning-gym does not say how many distinct problems a task has."""
        return None

    def ask(self, problem: Problem, text: str) -> Future[Answer] | Verdict:
        """reasoning-gym's score of the answer in `text`; one that takes over 30 s is a time-out."""
        answer = self.parse(text)
        if answer is None:
            return Verdict(0.0, detail="no answer found")
        if len(answer) > MAX_CHARACTERS:
            return Verdict(0.0, detail=f"the answer is longer than {MAX_CHARACTERS} characters")
        # From the problem, not from this task: a mixture may hold two tasks of one name.
        args = (self.dataset, problem.meta["options"], problem.meta["seed"], answer)
        return _pool().submit("hone.tasks.gym:scored", args, SCORE_SECONDS, _NEEDS)

    def read(self, problem: Problem, text: str, answer: Answer) -> Verdict:
        """Reward 1 for a score of exactly 1.0, else 0."""
        score, written = answer.value, self.parse(text) or ""
        if not math.isfinite(score):
            return Verdict(None, "error", answer=written, detail=f"the scorer returned {score}")
        guard = _GUARDS.get(self.dataset)
        right = score == 1.0 and (guard is None or guard(written, str(problem.answer)))
        return Verdict(float(right), answer=written, parts={"score": score})

    def parse(self, text: str) -> str | None:
        """The answer as text, or None if it is empty."""
        tag = final(_TAG.finditer(text))
        if tag is not None:
            return _END_TAG.split(text[tag.end() :], maxsplit=1)[0].strip() or None
        return _MARK.split(text)[-1].strip(" \t\r\n*") or None

    def same(self, a: str | None, b: str | None) -> bool:
        """String equality: reasoning-gym knows right from wrong, not which wrong answers are equal."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The string."""
        return answer or ""


def _near(answer: str, truth: str) -> bool:
    value = one_number(answer)
    return value is not None and abs(Fraction(value) - Fraction(truth)) <= Fraction(1, 10_000)


# Scorers of reasoning-gym 0.1 that pay 1.0 for nonsense: `0` begins every probability, `nan` is within every
# tolerance, and whatever is not `True` is `False`.
_GUARDS: dict[str, Callable[[str, str], bool]] = {
    "coin_flip": _near,
    "complex_arithmetic": lambda answer, truth: "nan" not in answer.lower(),
    "game_of_life_halting": lambda answer, truth: answer.lower() == truth.lower(),
}


def available() -> tuple[list[str], dict[str, str]]:
    """Names of the tasks that can be built, and why each of the others cannot."""
    reasons = _ask("reasons")
    return [n for n, reason in reasons.items() if not reason], {n: r for n, r in reasons.items() if r}


def _ask(function: str, *args: Any) -> Any:
    try:
        return _pool().call(f"hone.tasks.gym:{function}", args, GENERATE_SECONDS, _NEEDS)
    except WorkerError as error:
        raise TaskError(
            f"reasoning-gym: {str(error).splitlines()[0]}.", "Check `options`, or use another task."
        ) from error
    except TimeoutError as error:
        raise TaskError(
            f"reasoning-gym made no item in {GENERATE_SECONDS:g} s ({args}).", "Choose easier options."
        ) from error


@functools.lru_cache(maxsize=4096)
def _problem(dataset: str, options: str, index: int, split: Split) -> Problem:
    return problem_of(_ask("generated", dataset, options, index, split))


def _pool() -> Pool:
    return pool("reasoning-gym")


# What follows runs in a worker, where reasoning-gym is imported.


def refusal(dataset: str, options: str) -> tuple[str, str] | None:
    """What is wrong with a task or its options, and the mend; None if an item can be made."""
    from reasoning_gym.factory import DATASETS

    if dataset not in DATASETS:
        return f"There is no task `rg:{dataset}`.", nearest(dataset, sorted(DATASETS))
    chosen: dict[str, Any] = json.loads(options)
    known = sorted({f.name for f in dataclasses.fields(DATASETS[dataset][1])} - {"seed", "size"})
    for key in chosen:
        if key not in known:
            return f"`task.{key}` is not an option of `rg:{dataset}`.", nearest(key, known)
        if misplaced_truth(chosen[key], get_type_hints(DATASETS[dataset][1])[key]):
            return f"`task.{key}` is {chosen[key]!r}: {TRUTH}.", "Mend its value."
    try:
        _made(dataset, options, 0)
    except Exception as error:
        mend = (
            f"Its options are {', '.join(known)}." if chosen else "Use another task; `hone tasks` lists them."
        )
        return f"`rg:{dataset}` cannot be built: {_reason(error)}.", mend
    return None


def reasons() -> dict[str, str]:
    """For every registered task, why it cannot be built, or an empty string."""
    from reasoning_gym.factory import DATASETS

    found = {}
    for name in sorted(DATASETS):
        problem = refusal(name, "{}")
        found[name] = (
            "" if problem is None else problem[0].removeprefix(f"`rg:{name}` cannot be built: ").rstrip(".")
        )
    return found


def generated(dataset: str, options: str, index: int, split: Split) -> dict[str, Any]:
    """Problem `index` of `split`, as a JSON value.

    Attempt a has the seed `stable_hash(task, options, split, index, a)`. Seeds on which a generator fails are passed
    over; TaskError if no attempt yields a problem of the split.
    """
    cause = ""
    for attempt in range(ATTEMPTS):
        seed = (
            stable_hash("rg", dataset, options, split, index, attempt) % 2**32
        )  # numpy takes no larger seed
        try:
            item = _made(dataset, options, seed)[1]
        except Exception as error:
            cause = f" The last failed attempt: {_reason(error)}."
            continue
        problem = Problem(
            prompt=item["question"],
            answer=item["answer"],
            task=f"rg:{dataset}",
            level=_level(item["metadata"]),
            oracle=item["answer"],
            meta={"seed": seed, "options": options},
        )
        if split_of(problem.id) == split:
            return problem_value(problem)
    raise TaskError(f"No {split} problem in {ATTEMPTS} draws.{cause}", "Choose options that allow more.")


def scored(dataset: str, options: str, seed: int, answer: str) -> float:
    """reasoning-gym's own score of `answer` to the item of `seed`."""
    maker, item = _made(dataset, options, seed)
    return float(maker.score_answer(answer, copy.deepcopy(item)))  # a scorer may write into its item


@functools.lru_cache(maxsize=256)
def _made(dataset: str, options: str, seed: int) -> tuple[Any, dict[str, Any]]:
    from reasoning_gym.factory import create_dataset

    maker = create_dataset(dataset, seed=seed, size=1, **json.loads(options))
    return maker, maker[0]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")


def _level(metadata: Mapping[str, Any]) -> float:
    found = metadata.get("difficulty")
    if isinstance(found, Mapping):
        found = found.get("difficulty")
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0
