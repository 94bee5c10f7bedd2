"""The search for prefixes with the base model: which problems are hard, and the shortest start that helps with each.

The state of a search is a list of candidates, JSON values all. What a round asks follows from it, so that a search can
be stopped between any two rounds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hone.core.errors import DataError
from hone.core.problem import Problem, Task, stable_hash
from hone.core.trajectory import Trajectory
from hone.curricula.guided import leaks, places

Candidate = Mapping[str, Any]
Fallback = Literal["largest", "random"]
ROUND = 32  # problems that are attempted side by side


@dataclass(frozen=True)
class Search:
    """What is asked of the base model: `hard_samples` answers to a problem, then `search_samples` at each place."""

    cuts: int
    max_share: float
    search_samples: int
    hard_samples: int
    fallback: Fallback
    seed: int
    guided: bool = True  # whether prefixes are wanted, or hard problems alone


@dataclass(frozen=True)
class Probe:
    """A candidate to attempt: without a prefix, or with the one that ends at `cut`.

    `group` is its own in the whole search, so that what it samples does not depend on what is asked beside it.
    """

    at: int  # its place among the candidates
    cut: int | None
    count: int
    group: int


def candidate(task: Task, index: int, search: Search) -> dict[str, Any]:
    """A problem about which nothing is known: where its solution may be cut without giving the answer away."""
    problem = task.problem(index)
    found = places(problem.oracle, search.cuts, search.max_share) if problem.oracle else ()
    open_ones = [cut for cut in found if not leaks(task, problem, str(problem.oracle)[:cut])]
    out = {"index": index, "problem": problem.id, "cuts": open_ones, "leaked": len(found) - len(open_ones)}
    # Without a place to cut there is nothing to look for.
    how = "" if open_ones else ("leak" if found else "short" if problem.oracle else "no oracle")
    return {**out, "base": None, "tried": 0, "found": 0, "searched_tokens": 0, "prefix": None, "how": how}


def pending(candidates: Sequence[Candidate], search: Search) -> list[Probe]:
    """The next round: each of the first ROUND open candidates once."""
    probes = []
    for at, each in enumerate(candidates):
        if each["how"]:
            continue
        first = at * (search.cuts + 1)
        if each["base"] is None:
            probes.append(Probe(at, None, search.hard_samples, first))
        else:
            tried = each["tried"]
            probes.append(Probe(at, each["cuts"][tried], search.search_samples, first + 1 + tried))
        if len(probes) == ROUND:
            break
    return probes


def learnt(
    candidates: Sequence[Candidate], search: Search, task: Task, rollouts: Sequence[Trajectory]
) -> list[Candidate]:
    """The candidates after a round; `rollouts` are those of `pending`, with verdicts."""
    out = list(candidates)
    by_group: dict[int, list[Trajectory]] = {}
    for rollout in rollouts:
        by_group.setdefault(rollout.labels["group"], []).append(rollout)
    for probe in pending(candidates, search):
        out[probe.at] = _after(candidates[probe.at], search, task, by_group[probe.group])
    return out


def _after(each: Candidate, search: Search, task: Task, rollouts: Sequence[Trajectory]) -> Candidate:
    """A candidate after its probe."""
    successes = sum(t.verdict is not None and (t.verdict.reward or 0) >= 1 for t in rollouts)
    if each["base"] is None:
        how = "easy" if successes else "" if search.guided else "hard"
        return {**each, "base": successes, "how": how}
    oracle = str(_checked(task, each).oracle)
    tried = each["tried"] + 1
    known = {
        **each,
        "tried": tried,
        "searched_tokens": each["searched_tokens"] + sum(t.num_actions for t in rollouts),
    }
    if successes:
        return {**known, "found": successes, "prefix": oracle[: each["cuts"][tried - 1]], "how": "found"}
    if tried < len(each["cuts"]):
        return known
    pick = len(each["cuts"]) - 1
    if search.fallback == "random":
        pick = stable_hash("prefix", search.seed, each["problem"]) % len(each["cuts"])
    return {**known, "prefix": oracle[: each["cuts"][pick]], "how": "fallback"}


def _checked(task: Task, each: Candidate) -> Problem:
    """The problem of a candidate. Raises DataError if it is another one than when the candidate was written."""
    problem = task.problem(each["index"])
    if each.get("problem", problem.id) != problem.id:
        raise DataError(
            f"Problem {each['index']} of `{task.name}` is {problem.id}, and its prefix was chosen for "
            f"{each['problem']}.",
            "Use the task, with the options and files, that the prefixes were chosen for.",
        )
    return problem


def read(path: str, task: Task) -> list[Candidate]:
    """Candidates of a file: `prefixes`, a list of mappings with `index` and `prefix`, and `problem` to check the index.

    Entries without a prefix are left out, so that the file of another run serves as it is. Prefixes that give the
    answer away are kept as `leak`, to be counted. Raises DataError for a file that is none, and for other problems.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))["prefixes"]
        given = [(row, int(row["index"]), row.get("prefix")) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"`curriculum.prefixes`: {path} holds no prefixes: {error}.",
            'Write `{"prefixes": [{"index": 0, "prefix": "..."}]}`, or name the prepared.json of a run.',
        ) from error
    out: list[Candidate] = []
    for row, index, prefix in given:
        if not prefix:
            continue
        problem = _checked(
            task, {"index": index, **({"problem": row["problem"]} if "problem" in row else {})}
        )
        how = "leak" if leaks(task, problem, str(prefix)) else "file"
        known = {"base": row.get("base"), "tried": 0, "found": row.get("found", 0), "cuts": [], "leaked": 0}
        kept = None if how == "leak" else str(prefix)
        out.append({"index": index, "problem": problem.id, **known, "prefix": kept, "how": how})
    return out
