"""The sampling of one step: the curriculum is asked until it is content, now or a step ahead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hone.core.batch import Batch
from hone.core.errors import RecipeError
from hone.core.method import Method
from hone.core.stages import Judge, State
from hone.core.trajectory import Trajectory
from hone.training.context import StepContext
from hone.training.early_judge import EarlyJudge
from hone.training.rollouts import episodes
from hone.training.snapshot import SnapshotEngine

if TYPE_CHECKING:
    from hone.training.session import Session


@dataclass(frozen=True)
class Drawn:
    """The trajectories of a step, and the curriculum's state after drawing them."""

    trajectories: list[Trajectory]
    state: State


def sample(s: Session, step: int, context: StepContext) -> Drawn:
    """The rollouts of `step`: those that were sampled ahead, or sampled now."""
    drawn = s.ahead.take(s.stop.check) if s.ahead is not None else None
    if drawn is None:
        s.engine.refresh()
        drawn = s.stop.run(_draw(s, step, episode_context(s, context)))
    return drawn


def sample_ahead(s: Session, step: int) -> None:
    """With `one_step_off`, begin to sample `step` from a copy of the present weights.

    Not if something is due before it that wants the run at rest: then it is sampled when its turn comes.
    """
    if s.ahead is not None and not s.rests_after(step - 1):
        s.engine.refresh()
        context = episode_context(s, s.context(step))
        s.ahead.start(lambda: _draw(s, step, context))


def episode_context(s: Session, context: StepContext) -> StepContext:
    """What episodes see of a step: where they may run ahead, the copy of the weights and the engine that reads it."""
    if not isinstance(s.engine, SnapshotEngine):
        return context
    role = replace(context.roles["policy"], policy=s.engine.policy, engine=s.engine)
    return replace(context, judge=s.judge, roles={**context.roles, "policy": role})


def check_verdicts(method: Method, judge: Judge) -> None:
    """Raise RecipeError for a curriculum that asks for verdicts between draws, and a judge that wants all at once."""
    if "verdicts" in method.curriculum.needs and not judge.independent:
        raise RecipeError(
            "The curriculum goes by the verdicts of what a step has sampled so far, and this reward is a function that "
            "takes all completions of a step at once and may compare them.",
            "Use a reward that takes one completion, or `curriculum: uniform`.",
        )


async def _draw(s: Session, step: int, context: StepContext) -> Drawn:
    early = context.judge if isinstance(context.judge, EarlyJudge) else None
    state, trajectories = s.curriculum_state, list[Trajectory]()
    while True:
        requests, state = s.method.curriculum.draw(state, s.task, step, trajectories)
        if not requests:
            break
        found = await episodes(
            requests, s.method.episode, context, s.engine, early.begin if early is not None else None
        )
        if "verdicts" in s.method.curriculum.needs:
            assert early is not None  # `check_verdicts` has refused every other judge
            verdicts = await early.settle(found, {"global_step": step})
            found = [replace(t, verdict=v) for t, v in zip(found, verdicts, strict=True)]
        trajectories += found
    trajectories.sort(key=lambda t: (t.labels["group"], t.labels["rollout"]))
    if early is not None:
        await early.pause()
        s.seconds["reward_overlapped"] = early.seconds
    return Drawn(trajectories, state)


def lag(batch: Batch, version: int) -> int:
    """Weight versions between the sampling of a batch's oldest rollout and `version`."""
    actions = [s for t in batch.trajectories for s in t.segments if s.kind == "action"]
    return max((version - s.version for s in actions), default=0)
