"""Evaluation: unbiased pass@k, worst@k and maj@k of a policy on held-out problems, with intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hone.compute.ledger import Ledger
from hone.core.errors import RecipeError, TaskError
from hone.core.noise import NoiseKey
from hone.core.problem import Split, Task, Verdict
from hone.core.recipe import Recipe
from hone.core.sampling import Engine, SamplingParams
from hone.core.stages import Episode, Judge, Request
from hone.core.trajectory import Trajectory
from hone.core.voting import clusters
from hone.episodes import SingleTurn
from hone.evals import Interval, maj_at_k, mean_interval, pass_at_k, worst_at_k
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.context import PolicyRole, StepContext
from hone.training.rollouts import episodes
from hone.training.stopping import Runs

SINGLE_TURN = SingleTurn()
SCORED_TOKENS = 1 << 14  # of a pass, where an evaluation outside of a run scores: no recipe says how many


@dataclass(frozen=True)
class Evaluation:
    """One line of eval.jsonl and the rollouts behind it."""

    line: dict[str, Any]
    trajectories: list[Trajectory]


def evaluate(
    policy: TokenPolicy,
    engine: Engine,
    task: Task,
    judge: Judge,
    params: SamplingParams,
    *,
    problems: int,
    samples: int,
    ks: Sequence[int],
    seed: int = 0,
    split: Split = "test",
    budget: TokenBudget | None = None,
    run: Runs = asyncio.run,
    indices: Sequence[int] | None = None,
    episode: Episode = SINGLE_TURN,
    roles: Mapping[str, PolicyRole] | None = None,
) -> Evaluation:
    """Sample `samples` answers to each of the first `problems` problems of `split`, or of those at `indices`, and judge
    them.

    The noise depends on the seed, the problem and the sample alone, so evaluations of two policies are paired. A
    verdict that is not ok leaves its sample out; a problem with fewer than k samples left leaves pass@k out for all,
    and the line counts both. k above `samples` are left out. `episode` gives one trajectory a sample, and may give it
    its verdict; `roles` are other models that it asks. Raises TaskError if the split is smaller.
    """
    size = task.size(split)
    if size is not None and size < problems:
        raise TaskError(
            f"`{task.name}` has {size} {split} problems, but the evaluation asks for {problems}.",
            f"Set `eval.problems` to at most {size}.",
        )
    engine.refresh()
    role = PolicyRole(
        policy, engine, params.temperature or 1.0, budget or TokenBudget(SCORED_TOKENS), Ledger()
    )
    context = StepContext(task, judge, params, NoiseKey(seed, "eval"), {**(roles or {}), "policy": role})
    chosen = range(problems) if indices is None else indices
    requests = [Request(task.problem(index, split), samples, group=i) for i, index in enumerate(chosen)]
    trajectories = run(episodes(requests, episode, context, engine))
    state = {"global_step": 0, "evaluation": True}
    open_ones = [t for t in trajectories if t.verdict is None]
    found = iter(run(judge.score([t.problem for t in open_ones], [t.text for t in open_ones], state)))
    verdicts = [t.verdict or next(found) for t in trajectories]
    line = summarise(judge, trajectories, verdicts, problems, samples, ks, seed)
    judged = [replace(t, verdict=v) for t, v in zip(trajectories, verdicts, strict=True)]
    return Evaluation({"task": task.name, "split": split, **line}, judged)


def fit_evaluation(recipe: Recipe, task: Task) -> tuple[Recipe, str]:
    """The recipe with `eval.problems` lowered to what the held-out split has, and a sentence that says so.

    Raises RecipeError if the split is empty.
    """
    size = task.size("test")
    if size is None or size >= recipe.eval.problems:
        return recipe, ""
    if size == 0:
        raise RecipeError(
            f"`{task.name}` has no held-out problems.", "Give it more problems, or a test file."
        )
    settings = recipe.eval.model_copy(update={"problems": size})
    words = f"the held-out split of {task.name} has {size} problems, so `eval.problems` is {size}"
    return recipe.model_copy(update={"eval": settings}), words


def summarise(
    judge: Judge,
    trajectories: Sequence[Trajectory],
    verdicts: Sequence[Verdict],
    problems: int,
    samples: int,
    ks: Sequence[int],
    seed: int,
) -> dict[str, Any]:
    """Estimates with 95% intervals over problems, from rollouts in problem order."""
    rows = [range(p * samples, (p + 1) * samples) for p in range(problems)]
    good = [[verdicts[i] for i in row if verdicts[i].status == "ok"] for row in rows]
    counts = np.array([len(g) for g in good])
    correct = np.array([sum(v.reward >= 1 for v in g if v.reward is not None) for g in good])
    line: dict[str, Any] = {"problems": problems, "samples": samples}
    for k in sorted(k for k in set(ks) if k <= samples):
        enough = counts >= k
        if not enough.all():
            line[f"left_out@{k}"] = int((~enough).sum())
        if not enough.any():
            continue
        n, c = counts[enough], correct[enough]
        votes = np.array([majority(judge, g, k) for g, e in zip(good, enough) if e])
        for name, values in (("pass", pass_at_k(n, c, k)), ("worst", worst_at_k(n, c, k)), ("maj", votes)):
            line[f"{name}@{k}"] = _interval(mean_interval(np.asarray(values), seed=seed))
    rates = correct / np.maximum(counts, 1)
    first = [trajectories[row[0]].problem for row in rows]
    line["by_level"] = _by_level([p.level for p in first], rates, seed)
    line["rates"] = [round(float(r), 6) for r in rates]
    line["length"] = float(np.mean([t.num_actions for t in trajectories]))
    line["truncated"] = float(np.mean([t.truncated for t in trajectories]))
    line["tokens"] = int(sum(t.num_actions for t in trajectories))
    not_ok = len(verdicts) - int(counts.sum())
    if not_ok:
        line["not_ok"] = not_ok
    return line


def _interval(interval: Interval) -> dict[str, float]:
    return {"value": float(interval.value), "low": float(interval.low), "high": float(interval.high)}


def _by_level(levels: Sequence[float], rates: np.ndarray, seed: int, most: int = 8) -> list[dict[str, Any]]:
    """pass@1 in at most `most` bins of difficulty with equally many problems, named by their mean level."""
    order = np.argsort(levels, kind="stable")
    distinct = sorted(set(levels))
    if len(distinct) <= most:
        bins = [np.flatnonzero(np.asarray(levels) == level) for level in distinct]
    else:
        bins = [b for b in np.array_split(order, most) if len(b)]
    return [
        {
            "level": float(np.asarray(levels)[b].mean()),
            "problems": len(b),
            "pass@1": _interval(mean_interval(rates[b], seed=seed)),
        }
        for b in bins
    ]


def majority(judge: Judge, verdicts: Sequence[Verdict], k: int) -> float:
    """maj@k of one problem: answers clustered by key, then by `same` with a cluster's first member.

    Texts without an answer form no cluster of their own votes: each is a vote for nothing that counts as wrong.
    """
    found = clusters(judge, [v.answer for v in verdicts])
    sizes = np.array([len(c) for c in found])
    first = [verdicts[c[0]].reward for c in found]
    right = np.array([reward is not None and reward >= 1 for reward in first])
    return float(maj_at_k(sizes, right, k))


def sample_lines(evaluation: Evaluation, step: int, keep: int) -> list[dict[str, Any]]:
    """Lines of samples.jsonl: the first rollouts of each problem in turn, the same ones in every evaluation."""
    chosen = sorted(evaluation.trajectories, key=lambda t: (t.labels["rollout"], t.labels["group"]))[:keep]
    return [sample_line(t, step, evaluation.line["split"]) for t in chosen]


def sample_line(trajectory: Trajectory, step: int, split: Split) -> dict[str, Any]:
    """One rollout as a JSON line."""
    verdict, problem = trajectory.verdict, trajectory.problem
    return {
        "step": step,
        "split": split,
        "problem": problem.id,
        "task": problem.task,
        "level": problem.level,
        "prompt": problem.text(),
        "text": trajectory.text,
        "reward": verdict.reward if verdict else None,
        "status": verdict.status if verdict else None,
        "answer": None if verdict is None or verdict.answer is None else str(verdict.answer),
        "detail": verdict.detail if verdict else "",
        "finish_reason": trajectory.finish_reason,
        "tokens": trajectory.num_actions,
        "meta": {k: v for k, v in problem.meta.items() if isinstance(v, str | int | float | bool)},
    }
