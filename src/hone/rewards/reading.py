"""What rewards without labels read of a batch: its answers, and the judge's verdicts, which only metrics may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hone.core.batch import Batch
from hone.core.lazy import torch
from hone.core.packed import compact
from hone.core.problem import Verdict
from hone.core.rewarded import with_verdicts
from hone.core.stages import Context
from hone.core.voting import identities, spread

if TYPE_CHECKING:
    from jaxtyping import Bool, Float


async def judged(batch: Batch, context: Context) -> list[Verdict]:
    """The judge's verdict on each rollout; those that a curriculum has asked for are not asked for again."""
    waiting = [t for t in batch.trajectories if t.verdict is None]
    problems, texts = [t.problem for t in waiting], [t.text for t in waiting]
    found = await context.judge.score(problems, texts, {"global_step": context.noise.step})
    if len(found) != len(waiting):
        return found  # `with_verdicts` says what is wrong
    new = iter(found)
    return [t.verdict or next(new) for t in batch.trajectories]


def with_rewards(
    batch: Batch,
    verdicts: Sequence[Verdict],
    answers: Sequence[Any],
    rewards: Float[torch.Tensor, "rollouts"],
    learnt: Bool[torch.Tensor, "rollouts"],
    metrics: Mapping[str, float],
) -> Batch:
    """The batch with `rewards[R]` and without a trace of the judge's, learning from `learnt[R]` alone.

    A rollout whose judging failed, so that its answer is not known, keeps that status and is not ok.
    """
    made = [
        v if a is None and v.status in ("error", "timeout") else Verdict(r, answer=a)
        for v, a, r in zip(verdicts, answers, rewards.tolist(), strict=True)
    ]
    out = with_verdicts(batch, made)
    return replace(out, kept=out.kept & learnt, readings={**batch.readings, **metrics})


def spread_metrics(
    batch: Batch, verdicts: Sequence[Verdict], answers: Sequence[Any], context: Context
) -> dict[str, float]:
    """How the answers spread over the step's prompts, and, of the hidden labels, how many of them are right.

    `srt/mode_share` is the share of the most common answer of all prompts; `srt/information` is I(prompt; answer) and
    `srt/answer_entropy` H(answer | prompt), in nats; `srt/unparsed` the share of rollouts without an answer;
    `srt/accuracy` the share of right ones of those with a verdict. What there is nothing to count for is left out.
    """
    groups, count = compact(batch.groups)
    out = {"srt/unparsed": sum(a is None for a in answers) / max(1, len(answers))}
    found = spread(identities(context.judge, answers), groups, count)
    if found is not None:
        out |= {
            "srt/mode_share": found.mode_share,
            "srt/information": found.information,
            "srt/answer_entropy": found.entropy,
        }
    right = [v.reward >= 1 for v in verdicts if v.reward is not None]
    return out | ({"srt/accuracy": sum(right) / len(right)} if right else {})
