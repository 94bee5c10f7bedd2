from __future__ import annotations

import dataclasses

import torch

from builders import groups_of
from hone.core.batch import collect
from hone.core.problem import Verdict
from hone.core.rewarded import with_verdicts


def test_select_takes_the_tokens_of_its_rollouts():
    batch = collect(groups_of([4, 4], [[2, 3], [1, 5]]))
    batch = dataclasses.replace(batch, advantages=torch.arange(11.0))
    part = batch.select([3, 0])
    assert part.lengths.tolist() == [5, 2]
    assert part.rollout_of.tolist() == [0] * 5 + [1] * 2
    assert part.advantages is not None
    assert part.advantages.tolist() == [6.0, 7, 8, 9, 10, 0, 1]
    assert torch.equal(part.behaviour_logprobs[5:], batch.behaviour_logprobs[:2])


def test_a_verdict_that_is_not_ok_takes_its_rollout_out():
    batch = collect(groups_of([4], [[2, 3, 1]]))
    verdicts = [Verdict(1.0), Verdict(None, "error", detail="boom"), Verdict(0.0)]
    judged = with_verdicts(batch, verdicts)
    assert judged.ok.tolist() == [True, False, True]
    assert judged.kept.tolist() == [True, False, True]
    assert torch.isnan(judged.rewards[1])
    assert batch.ok.all()
