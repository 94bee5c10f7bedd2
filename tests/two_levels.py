"""Batches of abstractions and solutions, and an engine that answers them, for the tests of RLAD's pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from hone.compute import Ledger
from hone.core.batch import Batch, collect
from hone.core.noise import NoiseKey
from hone.core.parts import Part
from hone.core.problem import Problem, Verdict
from hone.core.rewarded import with_verdicts
from hone.core.sampling import SamplingParams
from hone.core.trajectory import Segment, Trajectory
from hone.engines import choose
from hone.policies.loading import load_policy
from hone.training.budget import TokenBudget
from hone.training.context import PolicyRole, StepContext

PROBLEM = Problem("2+3*4=", "14", "sums")
Row = tuple[Part, int, float | None, str]  # part, item, reward, text


def batch_of(
    groups: Sequence[Sequence[Row]], problem: Problem = PROBLEM, roles: dict[Part, str] | None = None
) -> Batch:
    """A judged batch; a reward of None is an error. Every trajectory has two tokens below a prompt of its own."""
    trajectories, verdicts = [], []
    for group, rows in enumerate(groups):
        for rollout, (part, item, reward, text) in enumerate(rows):
            prompt = Segment(np.array([5, 6], np.int32), "prompt")
            tokens = np.array([3 + rollout % 9, 4 + item], np.int32)
            role = (roles or {}).get(part, "policy")
            leaf = Segment(tokens, "action", prompt, np.zeros(2, np.float32), role=role)
            labels = {"group": group, "rollout": rollout, "part": int(part), "item": item}
            trajectories.append(Trajectory(problem, leaf, text, "stop", labels))
            verdicts.append(
                Verdict(reward) if reward is not None else Verdict(None, "error", detail="broken")
            )
    return with_verdicts(collect(trajectories), verdicts)


def rewarded(piece: Any, batch: Batch) -> Batch:
    """`batch` after a reward piece that asks the context for nothing."""
    return asyncio.run(piece(batch, None))


def micro_context(
    task: Any, judge: Any = None, max_tokens: int = 6, extra: Sequence[str] = ()
) -> StepContext:
    """A context whose roles are micro models with random weights; `extra` are frozen ones."""
    policy = load_policy("micro:new", device="cpu", seed=0)
    engine, _ = choose(policy, "native")
    roles = {"policy": PolicyRole(policy, engine, 1.0, TokenBudget(4096), Ledger())}
    for seed, name in enumerate(extra, start=1):
        other = load_policy("micro:new", device="cpu", seed=seed)
        beside, _ = choose(other, "native")
        beside.share(engine.schedule)
        beside.refresh()
        roles[name] = PolicyRole(other, beside, 1.0, TokenBudget(4096), Ledger())
    engine.refresh()
    return StepContext(task, judge, SamplingParams(max_tokens), NoiseKey(0), roles)
