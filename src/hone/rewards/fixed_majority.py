"""The reward of the fixed teacher: agreement with a majority answer that was stored before training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from hone.core.batch import Batch
from hone.core.errors import RewardError
from hone.core.lazy import torch
from hone.core.stages import Context, Judge
from hone.core.voting import STORED, answers_of
from hone.rewards.reading import judged, spread_metrics, with_rewards


@dataclass(frozen=True)
class FixedMajority:
    """1 for an answer equal to the one of the problem's stored text (`meta["majority"]`), 0 for any other.

    `curriculum: base_votes` stores the majority of the starting model's answers there; a column `majority` of a file of
    problems does as well. The labels of the problems are asked for metrics alone. RewardError for a problem without a
    stored text, or whose text gives no answer. Source: Shafayat et al. 2025 (arXiv 2505.21444), offline labels.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"verdicts"})
    hides_labels: ClassVar[bool] = True

    async def __call__(self, batch: Batch, context: Context) -> Batch:
        """The batch with rewards and `srt/` metrics."""
        verdicts = await judged(batch, context)
        answers = answers_of(verdicts, [t.text for t in batch.trajectories], context.task)
        problems = {t.problem.id: t.problem for t in batch.trajectories}
        texts = [_stored(p.meta, p.id) for p in problems.values()]
        asked = await context.judge.score(list(problems.values()), texts, {"global_step": context.noise.step})
        labels = dict(zip(problems, answers_of(asked, texts, context.task), strict=True))
        for name, text in zip(labels, texts):
            if labels[name] is None:
                raise RewardError(
                    f"The stored majority of problem {name} gives no answer: {text[-80:]!r}.",
                    f"Leave the problem out, or mend its `{STORED}`.",
                )
        rewards = torch.tensor(
            [
                float(equal(context.judge, labels[t.problem.id], a))
                for t, a in zip(batch.trajectories, answers)
            ],
            dtype=torch.float64,
        )
        right = [v.reward >= 1 for v in asked if v.reward is not None]
        metrics = {"srt/pseudo_reward": float(rewards.mean()), "srt/labelled": 1.0}
        metrics |= {"srt/labelled_right": sum(right) / len(right)} if right else {}
        metrics |= spread_metrics(batch, verdicts, answers, context)
        return with_rewards(batch, verdicts, answers, rewards, torch.ones_like(batch.kept), metrics)

    def formula(self) -> str:
        """The reward in plain text."""
        return "r_i = 1 if a_i is the stored majority answer, else 0"

    __repr__ = formula


def equal(judge: Judge, label: Any, answer: Any) -> bool:
    """Whether an answer would be counted with the label in a vote."""
    return answer is not None and judge.key(label) == judge.key(answer) and judge.same(label, answer)


def _stored(meta: Any, name: str) -> str:
    text = meta.get(STORED)
    if not isinstance(text, str):
        raise RewardError(
            f"Problem {name} has no stored majority: `{STORED}` is {text!r}.",
            "Use `curriculum: base_votes`, which stores one, or give the file of problems such a column of texts.",
        )
    return text
