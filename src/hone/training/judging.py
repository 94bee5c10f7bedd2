"""Who judges a run: built from the recipe's `reward`, or from a callable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hone.core.errors import RecipeError
from hone.core.problem import Task
from hone.core.recipe import Choice
from hone.core.registry import with_options
from hone.core.stages import Judge
from hone.isolation.functions import WorkerFunction
from hone.rewards import CallableJudge, CallableReward, TaskJudge
from hone.tasks import verifiers

Reward = str | Choice | Callable[..., Any] | None
IN_PROCESS, CALLABLE = "inprocess", "callable"


def build_judge(task: Task, reward: Reward) -> Judge:
    """Who judges: the task itself, a verifier by name, or a function.

    `module.py:function` runs in workers, `inprocess:module.py:function` and a Python callable in this process. A Choice
    adds options, such as `seconds`.
    """
    if reward is None:
        return TaskJudge(task)
    if not isinstance(reward, str | Choice):
        return CallableJudge(CallableReward(reward), task)
    name, options = (reward, {}) if isinstance(reward, str) else (reward.name, reward.options)
    kind, _, argument = name.partition(":")
    if kind in verifiers.VERIFIERS:
        return TaskJudge(verifiers.make_verifier(name, **options))
    if kind == IN_PROCESS:
        return CallableJudge(with_options(CallableReward, name, {"source": argument}, options), task)
    if ".py:" in name:
        return CallableJudge(with_options(WorkerFunction, name, {"source": name}, options), task)
    if kind == CALLABLE:
        raise RecipeError(
            f"`reward: {name}` stands for a Python callable, which a recipe cannot hold.",
            "Pass it again: `hone.train(..., reward=function)`.",
        )
    raise RecipeError(
        f"`reward: {name}` is neither a verifier nor a function.",
        f"Name one of {', '.join(verifiers.VERIFIERS)}, or write `path/to/module.py:function`.",
    )


def notice(judge: Judge) -> str:
    """What a person should know of a judge before the run; empty if nothing."""
    if isinstance(judge, CallableJudge) and isinstance(judge.reward, CallableReward):
        return judge.reward.note
    return ""
