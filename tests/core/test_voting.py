"""Votes against a slow, plain version, and what must not change them."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest
import torch

from hone.core.voting import ABSTAINS, clusters, identities, spread, vote


class Close:
    """Equality within one, grouped by tens: coarse keys, and a relation that is not transitive."""

    def key(self, answer: int) -> str:
        return str(answer // 10)

    def same(self, a: int, b: int) -> bool:
        return abs(a - b) <= 1


class Plain:
    def key(self, answer: str) -> str:
        return answer

    def same(self, a: str, b: str) -> bool:
        return a == b


def slow(answers: list[int]) -> tuple[int | None, float]:
    """The majority answer and its share, by counting in order of appearance."""
    read = [a for a in answers if a >= 0]
    if not read:
        return None, 0.0
    answer, count = Counter(read).most_common(1)[0]  # of equal counts, the first that was met
    return answer, count / len(read)


@pytest.mark.parametrize("seed", range(20))
def test_vote_against_counting(seed):
    rng = np.random.default_rng(seed)
    groups = torch.from_numpy(rng.integers(0, 5, size=30))
    answers = torch.from_numpy(rng.integers(-1, 4, size=30))
    found = vote(answers, groups, 5)
    for group in range(5):
        mine = (groups == group).nonzero().flatten().tolist()
        row = [int(answers[i]) for i in mine]
        answer, share = slow(row)
        assert float(found.frequency[group]) == pytest.approx(share)
        assert int(found.votes[group]) == sum(a >= 0 for a in row)
        for i, given in zip(mine, row):
            assert bool(found.winner[i]) == (given >= 0 and given == answer)
            wanted = row.count(given) / max(1, int(found.votes[group])) if given >= 0 else 0.0
            assert float(found.share[i]) == pytest.approx(wanted)


def test_the_first_of_equal_counts_wins():
    groups = torch.zeros(4, dtype=torch.long)
    assert vote(torch.tensor([3, 1, 1, 3]), groups, 1).winner.tolist() == [True, False, False, True]
    assert vote(torch.tensor([1, 3, 3, 1]), groups, 1).winner.tolist() == [True, False, False, True]


def test_without_votes_there_is_no_winner():
    found = vote(torch.tensor([ABSTAINS, ABSTAINS, 0]), torch.tensor([0, 0, 2]), 3)
    assert found.winner.tolist() == [False, False, True]
    assert found.frequency.tolist() == [0.0, 0.0, 1.0]
    assert found.votes.tolist() == [0, 0, 1]
    assert vote(torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long), 0).frequency.shape == (0,)


def test_names_and_the_order_of_groups_do_not_matter():
    rng = np.random.default_rng(3)
    groups, answers = torch.from_numpy(rng.integers(0, 4, 24)), torch.from_numpy(rng.integers(0, 3, 24))
    first = vote(answers, groups, 4)
    renamed = vote(torch.tensor([7, 2, 5])[answers], torch.tensor([2, 0, 3, 1])[groups], 4)
    assert torch.equal(first.winner, renamed.winner)
    assert torch.equal(first.share, renamed.share)
    assert torch.equal(first.frequency, renamed.frequency[[2, 0, 3, 1]])


def test_clusters_ask_for_the_key_and_then_the_first_member():
    assert clusters(Close(), [12, 13, 14, 11, 21]) == [[0, 1, 3], [2], [4]]
    assert clusters(Close(), [9, 10]) == [[0], [1]]  # close, but of different keys
    assert clusters(Plain(), ["a", None, "a", None]) == [[0, 2], [1], [3]]


def test_identities_leave_out_what_was_not_read():
    assert identities(Plain(), ["b", None, "a", "b"]).tolist() == [0, ABSTAINS, 2, 0]


def test_spread_of_answers_that_the_prompt_decides():
    found = spread(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 1]), 2)
    assert found is not None
    assert (found.mode_share, found.entropy) == (0.5, 0.0)
    assert found.information == pytest.approx(log(2))


def test_spread_of_one_answer_everywhere():
    found = spread(torch.tensor([4, 4, 4]), torch.tensor([0, 1, 1]), 2)
    assert found is not None
    assert (found.mode_share, found.information, found.entropy) == (1.0, 0.0, 0.0)


def test_spread_weighs_prompts_alike_and_leaves_out_the_silent():
    found = spread(torch.tensor([0, 1, 1, 1, ABSTAINS]), torch.tensor([0, 1, 1, 1, 2]), 3)
    assert found is not None
    assert found.mode_share == 0.5
    assert spread(torch.tensor([ABSTAINS]), torch.tensor([0]), 1) is None
