"""A micro policy that plays environments: the context that episodes and rewards of several turns are tested with."""

from __future__ import annotations

from functools import cache

from hone.compute.ledger import Ledger
from hone.core.noise import NoiseKey
from hone.core.sampling import SamplingParams
from hone.core.stages import Episode, Request
from hone.core.trajectory import Trajectory
from hone.engines import choose
from hone.policies.loading import load_policy
from hone.policies.support import action_space
from hone.policies.token_policy import TokenPolicy
from hone.rewards import TaskJudge
from hone.tasks import make
from hone.training.budget import TokenBudget
from hone.training.context import PolicyRole, StepContext
from hone.training.rollouts import run_episodes

KEY_DOOR = {"environment": "key_door", "settings": {"length": 5}}


@cache
def micro() -> TokenPolicy:
    """A fresh micro model."""
    return load_policy("micro:new", dtype="float32")


def context(actions: str = "LR", seed: int = 0, task: str = "environment", **options: object) -> StepContext:
    """A step's context over a micro policy whose action space is `actions`."""
    policy = micro()
    policy.support = action_space(policy, tuple(actions))
    engine, _ = choose(policy, "native")
    engine.refresh()
    made = make(task, **(options or KEY_DOOR))
    role = PolicyRole(policy, engine, 1.0, TokenBudget(1 << 14), Ledger())
    params = SamplingParams(1, support=policy.support)
    return StepContext(made, TaskJudge(made), params, NoiseKey(seed, "train", 1), {"policy": role})


def attempts(of: StepContext, episode: Episode, count: int = 3, problems: int = 1) -> list[Trajectory]:
    """The trajectories of `count` attempts at each of the first problems."""
    requests = [Request(of.task.problem(i), count, group=i) for i in range(problems)]
    return run_episodes(requests, episode, of, of.roles["policy"].engine)
