from __future__ import annotations

import pytest

from builders import groups_of
from hone.training.microbatch import microbatches, minibatches

TRAJECTORIES = groups_of([10, 10, 10], [[2, 3, 4], [5], [1, 1]])
GROUPS = [t.labels["group"] for t in TRAJECTORIES]


def stored(chosen: list[int]) -> int:
    return sum(len(s.tokens) for s in {s for i in chosen for s in TRAJECTORIES[i].segments})


@pytest.mark.parametrize("budget", [1, 13, 20, 25, 1000])
def test_every_rollout_once_and_within_budget(budget: int):
    parts = list(microbatches(TRAJECTORIES, GROUPS, budget))
    assert sorted(i for p in parts for i in p) == list(range(6))
    for part in parts:
        assert stored(part) <= budget or len(part) == 1


def test_siblings_share_their_prompt_in_one_pass():
    assert list(microbatches(TRAJECTORIES, GROUPS, 19)) == [[0, 1, 2], [3], [4, 5]]


def test_a_coupled_group_is_never_split():
    assert list(microbatches(TRAJECTORIES, GROUPS, 12, "group")) == [[0, 1, 2], [3], [4, 5]]


def test_minibatches_deal_whole_groups_evenly():
    assert minibatches([7, 7, 1, 1, 3, 3], 3) == [[2, 3], [4, 5], [0, 1]]
    assert minibatches([0, 0, 1], 5) == [[0, 1], [2]]
    sizes = [len(m) for m in minibatches([i for i in range(10) for _ in range(2)], 4)]
    assert sum(sizes) == 20
    assert max(sizes) - min(sizes) <= 2
