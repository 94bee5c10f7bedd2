"""How success grows with thinking: forced answers along traces of a policy, its normalised regret and maj@p."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hone.compute.ledger import Ledger
from hone.core.noise import NoiseKey
from hone.core.problem import Split, Task
from hone.core.sampling import Engine, SamplingParams
from hone.core.stages import Judge, Request
from hone.core.trajectory import Trajectory
from hone.episodes import Thinking
from hone.evals import AnswerCurve, mean_interval, normalised_regret, success_at
from hone.policies.token_policy import TokenPolicy
from hone.training.budget import TokenBudget
from hone.training.context import PolicyRole, StepContext
from hone.training.evaluate import SCORED_TOKENS, majority
from hone.training.rollouts import episodes


@dataclass(frozen=True)
class Thought:
    """The traces of one problem and the answers that were forced on them, by trace and place."""

    traces: list[Trajectory]
    answers: dict[tuple[int, int], list[Trajectory]]

    def curves(self, extended: bool) -> list[AnswerCurve]:
        """A curve of each trace, without places that could not be measured; `extended` by the thinking forced on it."""
        found = []
        for trace in self.traces:
            r = trace.readings
            tokens = np.array([*r["forced_tokens"], *(r.get("extended_tokens", ()) if extended else ())])
            success = np.array([*r["forced_success"], *(r.get("extended_success", ()) if extended else ())])
            there = ~np.isnan(success)
            if there.any():
                order = np.argsort(tokens[there], kind="stable")  # an answer may be shorter further on
                found.append(AnswerCurve(tokens[there][order], success[there][order]))
        return found


def measure_thinking(
    policy: TokenPolicy,
    engine: Engine,
    task: Task,
    judge: Judge,
    params: SamplingParams,
    episode: Thinking,
    *,
    problems: int,
    samples: int,
    cutoffs: Sequence[int],
    seed: int = 0,
    split: Split = "test",
) -> dict[str, Any]:
    """Think `samples` times about each of the first `problems` problems of `split`; answer at the end of each episode.

    The line has, with 95% intervals over problems: `regret@C`, normalised regret over a budget of each of `cutoffs` C
    tokens, and `success@C`, of answering within it. Up to `params.max_tokens` curves are those of the traces as they
    are; beyond, they go on with the thinking that `episode.extend` forced on them. `success` and `maj@p` are lists over
    how many episodes had been thought, traces that had fewer counting with their last place; p is `episode.branches`.
    `left_out` problems had no place that could be measured.
    """
    engine.refresh()
    role = PolicyRole(policy, engine, params.temperature or 1.0, TokenBudget(SCORED_TOKENS), Ledger())
    context = StepContext(task, judge, params, NoiseKey(seed, "eval"), {"policy": role})
    requests = [Request(task.problem(i, split), samples, group=i) for i in range(problems)]
    found = asyncio.run(episodes(requests, replace(episode, keep_answers=True), context, engine))
    thoughts = [_thought([t for t in found if t.labels["group"] == g]) for g in range(problems)]
    measured = [t for t in thoughts if t.curves(False)]
    line: dict[str, Any] = {"problems": problems, "samples": samples, "left_out": problems - len(measured)}
    for cutoff in cutoffs:
        curves = [t.curves(cutoff > params.max_tokens) for t in measured]
        for name, values in (("regret", normalised_regret), ("success", success_at)):
            value, low, high = mean_interval(values(curves, [cutoff])[:, 0], seed=seed)
            line[f"{name}@{cutoff}"] = {"value": float(value), "low": float(low), "high": float(high)}
    traces = [t for thought in measured for t in thought.traces]
    line["tokens"] = float(np.mean([t.num_actions for t in traces]))
    line["episodes"] = float(np.mean([len(t.readings["forced_success"]) - 1 for t in traces]))
    line["success"] = _by_episode(
        [[list(t.readings["forced_success"]) for t in each.traces] for each in measured]
    )
    votes = [[_votes(judge, each, i) for i in range(samples)] for each in measured]
    line[f"maj@{episode.branches}"] = _by_episode(votes)
    return line


def _thought(found: Sequence[Trajectory]) -> Thought:
    answers: dict[tuple[int, int], list[Trajectory]] = defaultdict(list)
    for t in found:
        if t.labels.get("terminated"):
            answers[t.labels["trace"], t.labels["place"]].append(t)
    return Thought([t for t in found if not t.labels.get("terminated")], dict(answers))


def _votes(judge: Judge, thought: Thought, trace: int) -> list[float]:
    """maj@p at the places of a trace; the first, at the prompt, is that of all traces."""
    count = len(thought.traces[trace].readings["forced_success"])
    out = []
    for place in range(count):
        answers = thought.answers[trace if place else 0, place]
        good = [t.verdict for t in answers if t.verdict is not None and t.verdict.status == "ok"]
        out.append(majority(judge, good, len(good)) if good else float("nan"))
    return out


def _by_episode(problems: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    """Means over traces, then problems, of lists that go on with their last value."""
    longest = max(len(values) for traces in problems for values in traces)
    rows = [[[*v, *[v[-1]] * (longest - len(v))] for v in traces] for traces in problems]
    return [round(float(x), 5) for x in np.nanmean([np.nanmean(r, axis=0) for r in rows], axis=0)]
