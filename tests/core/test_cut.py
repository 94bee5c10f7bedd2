"""Cutting an answer, so that branches can begin inside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import segment, trajectory
from hone.core.forest import pack
from hone.core.trajectory import Segment, cut


def answer(size: int = 6) -> Segment:
    rng = np.random.default_rng(0)
    return segment(rng, size, "action", segment(rng, 3, "prompt"))


def test_pieces_are_the_whole():
    whole = answer()
    pieces = cut(whole, [2, 3])
    assert [len(p.tokens) for p in pieces] == [2, 1, 3]
    assert np.array_equal(np.concatenate([p.tokens for p in pieces]), whole.tokens)
    assert pieces[0].parent is whole.parent
    assert pieces[2].parent is pieces[1]
    assert pieces[2].logprobs is not None
    assert whole.logprobs is not None
    assert np.array_equal(pieces[2].logprobs, whole.logprobs[3:])


def test_a_cut_answer_is_predicted_by_the_same_tokens():
    whole = answer()
    before, after = pack([trajectory(whole)]), pack([trajectory(cut(whole, [2, 3])[-1])])
    assert torch.equal(before.tokens[before.action_index], after.tokens[after.action_index])
    assert torch.equal(before.predictor, after.predictor)
    assert torch.equal(before.positions, after.positions)


@pytest.mark.parametrize("places", [[0], [6], [3, 3], [4, 2]])
def test_places_must_rise_inside(places: list[int]):
    with pytest.raises(ValueError, match="do not rise"):
        cut(answer(), places)


def test_only_actions_are_cut():
    with pytest.raises(ValueError, match="kind prompt"):
        cut(answer().path()[0], [1])
