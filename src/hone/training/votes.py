"""The vote of the starting model on a curriculum's problems, before the first step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hone.core.problem import Task
from hone.core.stages import BaseVote, Judge, VotedCurriculum
from hone.core.trajectory import Trajectory
from hone.core.voting import answers_of, clusters
from hone.training.charging import charge_evaluation
from hone.training.disk import write_whole
from hone.training.evaluate import evaluate

if TYPE_CHECKING:
    from hone.training.session import Session

FILE = "base_votes.json"


def cast_votes(s: Session) -> None:
    """Give a curriculum that needs them the starting model's votes, and write them to base_votes.json.

    They are in the curriculum's state from then on, and so in every checkpoint; a resumed run that has them does not
    vote again. What was sampled is charged as an evaluation.
    """
    if "base_votes" not in s.method.curriculum.needs or s.curriculum_state["votes"] is not None:
        return
    curriculum = cast(VotedCurriculum, s.method.curriculum)
    indices, samples = curriculum.candidates(s.task), curriculum.samples
    s.progress.note(f"the starting model votes: {samples} answers to each of {len(indices):,} problems")
    with s.timed("base_votes"):
        found = evaluate(
            s.policy, s.engine, s.task, s.judge, s.params,
            problems=len(indices), samples=samples, ks=(1,), seed=s.recipe.seed, split="train",
            budget=s.budget, run=s.stop.run, indices=indices,
        )  # fmt: skip
    charge_evaluation(s.ledger, found.trajectories)
    rows = [found.trajectories[at : at + samples] for at in range(0, len(found.trajectories), samples)]
    votes = [vote_of(s.task, s.judge, index, row) for index, row in zip(indices, rows, strict=True)]
    s.curriculum_state = curriculum.with_votes(s.curriculum_state, votes)
    kept = {index for index, *_ in s.curriculum_state["votes"]}
    if s.folder.path.is_dir():
        lines = [
            {**vars(v), "problem": row[0].problem.id, "kept": v.index in kept} for v, row in zip(votes, rows)
        ]
        write_whole(s.folder.path / FILE, json.dumps(lines, indent=1) + "\n")
    mean = sum(v.frequency for v in votes) / len(votes)
    s.progress.note(
        f"{len(kept):,} of {len(votes):,} problems are trained on; the mean majority is {mean:.0%}"
    )


def vote_of(task: Task, judge: Judge, index: int, answers: Sequence[Trajectory]) -> BaseVote:
    """The vote of judged answers to one problem; of equal counts the answer that came first wins."""
    verdicts = [t.verdict for t in answers if t.verdict is not None]
    parsed = answers_of(verdicts, [t.text for t in answers], task)
    read = [c for c in clusters(judge, parsed) if parsed[c[0]] is not None]
    rewards = [v.reward for v in verdicts if v.reward is not None]
    right = sum(r >= 1 for r in rewards) / max(1, len(rewards))
    if not read:
        return BaseVote(index, None, 0.0, right)
    best = max(read, key=len)
    return BaseVote(index, answers[best[0]].text, len(best) / sum(map(len, read)), right)
