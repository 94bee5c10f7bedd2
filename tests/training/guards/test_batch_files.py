from __future__ import annotations

import dataclasses

import pytest
import torch

from builders import deep_tree, groups_of
from hone.core.batch import Batch, collect
from hone.core.errors import GuardError
from hone.core.forest import pack
from hone.core.problem import Problem, Verdict
from hone.training.guards.batch_files import FIELDS, read_batch, write_batch


def judged(trajectories) -> Batch:
    verdicts = [
        Verdict(1.0, answer={1, 2}, parts={"a": 0.5}),  # an answer that JSON has no word for
        Verdict(None, "error", detail="a lone surrogate \ud800"),
        Verdict(0.0),
    ]
    chat = Problem(({"role": "user", "content": "q"},), "a", "t", meta={"n": 1})
    made = [
        dataclasses.replace(t, verdict=verdicts[i % 3], problem=chat if i else t.problem)
        for i, t in enumerate(trajectories)
    ]
    batch = collect(made)
    return dataclasses.replace(
        batch,
        rewards=torch.where(torch.arange(len(made)) % 3 == 1, float("nan"), 1.0),
        ok=torch.arange(len(made)) % 3 != 1,
        advantages=torch.full_like(batch.behaviour_logprobs, float("inf")),
        readings={"srt/mode_share": 0.25},
    )


@pytest.mark.parametrize("made", [deep_tree(), groups_of([5, 7], [[2, 4, 3], [1, 6, 2]])])
def test_a_batch_comes_back_as_it_was(made, tmp_path):
    batch = judged(made)
    write_batch(batch, tmp_path)
    back = read_batch(tmp_path)
    for name in FIELDS:
        ours, theirs = getattr(batch, name), getattr(back, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            assert ours.dtype == theirs.dtype, name
            assert torch.equal(ours.nan_to_num(7.0), theirs.nan_to_num(7.0)), name
    assert back.readings == {"srt/mode_share": 0.25}
    forest, again = pack(batch.trajectories), pack(back.trajectories)
    assert forest.num_stored == again.num_stored  # what was shared is shared
    assert torch.equal(forest.tokens, again.tokens)
    assert torch.equal(forest.predictor, again.predictor)
    for a, b in zip(batch.trajectories, back.trajectories):
        assert (a.problem, a.text, a.finish_reason, a.labels) == (
            b.problem,
            b.text,
            b.finish_reason,
            b.labels,
        )
        assert [s.version for s in a.segments] == [s.version for s in b.segments]
        assert a.verdict is not None
        assert b.verdict is not None
        assert (a.verdict.reward, a.verdict.status) == (b.verdict.reward, b.verdict.status)
    assert back.trajectories[0].verdict.answer == "{1, 2}"


@pytest.mark.parametrize("harm", ["missing", "torn", "other"])
def test_a_batch_that_cannot_be_read_is_said(harm, tmp_path):
    write_batch(judged(deep_tree()), tmp_path)
    if harm == "missing":
        (tmp_path / "batch.safetensors").unlink()
    elif harm == "torn":
        text = (tmp_path / "batch.json").read_text()
        (tmp_path / "batch.json").write_text(text[: len(text) // 2])
    else:
        (tmp_path / "batch.json").write_text("{}")
    with pytest.raises(GuardError, match="cannot be read"):
        read_batch(tmp_path)
