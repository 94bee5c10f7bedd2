"""What abstractions are worth to a policy on held-out problems: without, on average, with the best, and by budget."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hone.compute.ledger import Ledger
from hone.core.errors import RewardError
from hone.core.noise import NoiseKey
from hone.core.parts import Part
from hone.core.problem import Split, Task, Verdict
from hone.core.sampling import Engine, SamplingParams
from hone.core.stages import Judge, Request
from hone.core.trajectory import Trajectory
from hone.episodes import Abstraction
from hone.evals import Interval, abstraction_table, allocation_table
from hone.evals.abstractions import ORACLE
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.charging import charge_evaluation
from hone.training.context import PolicyRole, StepContext
from hone.training.evaluate import SCORED_TOKENS
from hone.training.rollouts import episodes
from hone.training.stopping import Runs

if TYPE_CHECKING:
    from hone.training.session import Session


@dataclass(frozen=True)
class AbstractionEvaluation:
    """What an evaluation says of abstractions, and the rollouts behind it."""

    line: dict[str, Any]
    trajectories: list[Trajectory]


def evaluate_abstractions(
    policy: TokenPolicy,
    engine: Engine,
    task: Task,
    judge: Judge,
    params: SamplingParams,
    episode: Abstraction,
    *,
    problems: int,
    samples: int,
    seed: int = 0,
    split: Split = "test",
    roles: Mapping[str, PolicyRole] | None = None,
    run: Runs = asyncio.run,
) -> AbstractionEvaluation:
    """Sample `episode.abstractions` of each of the first `problems` problems of `split`, then `samples` solutions with
    each and as many without.

    Raises RewardError if a verdict is not ok: a table of counts has no place for it.
    """
    engine.refresh()
    role = PolicyRole(policy, engine, params.temperature or 1.0, TokenBudget(SCORED_TOKENS), Ledger())
    context = StepContext(
        task, judge, params, NoiseKey(seed, "abstractions"), {**(roles or {}), "policy": role}
    )
    count = (episode.abstractions + 1) * samples
    asked = replace(episode, bare=samples, blind=0, num_generations=count)
    requests = [Request(task.problem(i, split), count, group=i) for i in range(problems)]
    trajectories = run(episodes(requests, asked, context, engine))
    solutions = [t for t in trajectories if t.labels["part"] != Part.ABSTRACTION]
    state = {"global_step": 0, "evaluation": True}
    verdicts = run(judge.score([t.problem for t in solutions], [t.text for t in solutions], state))
    if bad := [v for v in verdicts if v.status != "ok"]:
        raise RewardError(
            f"{len(bad)} of {len(verdicts)} verdicts of the evaluation with abstractions are {bad[0].status}: "
            f"{bad[0].detail.strip()}",
            "Mend the reward.",
        )
    correct = count_correct(solutions, verdicts, problems, episode.abstractions)
    return AbstractionEvaluation(summarise(correct, samples, seed), trajectories)


def count_correct(
    solutions: Sequence[Trajectory], verdicts: Sequence[Verdict], problems: int, abstractions: int
) -> np.ndarray:
    """`[P, K + 1]` right solutions of each problem with each abstraction, and without one in the last column."""
    correct = np.zeros((problems, abstractions + 1), dtype=int)
    for t, verdict in zip(solutions, verdicts, strict=True):
        right = verdict.reward is not None and verdict.reward >= 1
        correct[t.labels["group"], t.labels["item"]] += int(right)
    return correct


def summarise(correct: np.ndarray, samples: int, seed: int) -> dict[str, Any]:
    """`w/o`, `avg`, `best` and the success S(m, k) of every allocation, with 95% intervals over problems."""
    table = abstraction_table(correct[:, :-1], samples, correct[:, -1], samples, seed=seed)
    rows = allocation_table(correct[:, :-1], samples, seed=seed)
    return {
        "problems": len(correct),
        "abstractions": correct.shape[1] - 1,
        "samples": samples,
        "success": {name: _limits(found) for name, found in table.items()},
        "allocation": [{**row, "success": _limits(row["success"])} for row in rows],
        "note": ORACLE,
    }


def measure_abstractions(s: Session, params: SamplingParams) -> dict[str, Any]:
    """What a line of eval.jsonl says of abstractions, and nothing where the run's episode has none."""
    episode, settings = s.method.episode, s.recipe.eval
    if not isinstance(episode, Abstraction):
        return {}
    found = evaluate_abstractions(
        s.policy, s.engine, s.eval_task, s.eval_judge, params, episode,
        problems=settings.problems, samples=settings.samples_during, seed=s.recipe.seed,
        roles=s.frozen_roles(Ledger()), run=s.stop.run,
    )  # fmt: skip
    charge_evaluation(s.ledger, found.trajectories)
    return {"abstractions": found.line}


def _limits(found: Interval) -> dict[str, float]:
    return {"value": float(found.value), "low": float(found.low), "high": float(found.high)}
