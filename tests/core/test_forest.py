from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import deep_tree, groups_of, segment, trajectory
from hone.core.forest import pack


def test_single_turn_groups_store_each_prompt_once():
    trajectories = groups_of([5, 3], [[2, 4], [1, 3, 2]])
    forest = pack(trajectories)
    assert forest.num_stored == 5 + 3 + 2 + 4 + 1 + 3 + 2
    assert forest.lengths.tolist() == [2, 4, 1, 3, 2]
    assert len(forest.families) == 2


def test_actions_come_back_in_rollout_order_with_their_predictors():
    trajectories = groups_of([5, 3], [[2, 4], [1]])
    forest = pack(trajectories)
    expected = np.concatenate([t.leaf.tokens for t in trajectories])
    assert forest.tokens[forest.action_index].tolist() == expected.tolist()
    first = [0, 2, 6]  # where each answer's first token stands among the actions
    prompt_ends = [t.segments[0].tokens[-1] for t in trajectories]
    assert forest.tokens[forest.predictor[first]].tolist() == [int(t) for t in prompt_ends]
    later = [i for i in range(7) if i not in first]
    assert (forest.predictor[later] == forest.action_index[later] - 1).all()


def test_positions_continue_along_the_path():
    forest = pack(deep_tree())
    for t in range(len(forest.action_index)):
        assert forest.positions[forest.action_index[t]] == forest.positions[forest.predictor[t]] + 1


def test_a_shared_action_is_listed_for_each_rollout_that_owns_it():
    trajectories = deep_tree()
    forest = pack(trajectories)
    assert forest.lengths.tolist() == [4 + 2, 4 + 5 + 3, 7]
    assert torch.equal(forest.action_index[:4], forest.action_index[6:10])
    assert forest.num_stored == 6 + 4 + 3 + 2 + 5 + 3 + 7


def test_an_action_needs_something_before_it():
    leaf = segment(np.random.default_rng(0), 3, "action")
    with pytest.raises(ValueError, match="prompt"):
        pack([trajectory(leaf)])
