"""Curricula of runs without labels: which problems the starting model's votes leave, and training on the test split."""

from __future__ import annotations

import pytest

from hone.core.errors import RecipeError
from hone.core.problem import Problem
from hone.core.stages import BaseVote
from hone.curricula import BaseVotes, TestTime, Uniform


class Finite:
    name = "finite"

    def __init__(self, train: int | None, test: int = 5) -> None:
        self.sizes = {"train": train, "test": test}

    def size(self, split: str = "train") -> int | None:
        return self.sizes[split]

    def problem(self, index: int, split: str = "train") -> Problem:
        return Problem(f"{split} {index}", index, "finite")


VOTES = [
    BaseVote(4, "four", 0.5, 0.9),
    BaseVote(1, "one", 0.9, 0.1),
    BaseVote(2, None, 0.0, 0.0),
    BaseVote(0, "zero", 0.9, 0.5),
    BaseVote(3, "three", 0.2, 0.7),
]


def kept(curriculum: BaseVotes) -> list[int]:
    state = curriculum.with_votes(curriculum.init(Finite(5), 0), VOTES)
    return [index for index, *_ in state["votes"]]


def test_the_easiest_stay_in_their_order():
    assert kept(BaseVotes(keep=1 / 3)) == [1, 0]
    assert kept(BaseVotes(keep=0.2)) == [1]  # of equally easy ones the first
    assert kept(BaseVotes(keep=0.4, by="pass_rate")) == [4, 3]


def test_what_cannot_be_read_is_left_out():
    assert kept(BaseVotes()) == [4, 1, 0, 3]
    with pytest.raises(RecipeError, match="None of the starting model's answers"):
        BaseVotes().with_votes({"votes": None}, [VOTES[2]])


def test_problems_come_with_their_majority_once_an_epoch():
    curriculum, task = BaseVotes(num_generations=3, problems_per_step=2), Finite(5)
    state = curriculum.with_votes(curriculum.init(task, 0), VOTES)
    drawn = []
    for step in (1, 2):
        requests, state = curriculum.draw(state, task, step, [])
        assert curriculum.draw(state, task, step, ["something"])[0] == []
        assert [r.count for r in requests] == [3, 3]
        drawn += [r.problem for r in requests]
    assert sorted(p.answer for p in drawn) == [0, 1, 3, 4]
    for problem in drawn:
        assert problem.id == task.problem(problem.answer).id
        assert problem.meta["majority"] == {0: "zero", 1: "one", 3: "three", 4: "four"}[problem.answer]


def test_the_pool_is_drawn_at_random_from_what_there_is():
    assert sorted(BaseVotes().candidates(Finite(5))) == [0, 1, 2, 3, 4]
    assert len(set(BaseVotes(pool=3).candidates(Finite(5)))) == 3
    endless = BaseVotes(pool=3, seed=1).candidates(Finite(None))
    assert endless == [Uniform(seed=1).index(at, None) for at in range(3)]
    with pytest.raises(RecipeError, match="has no end"):
        BaseVotes().init(Finite(None), 0)


def test_before_the_vote_the_pool_is_drawn_from():
    task, curriculum = Finite(5), BaseVotes(problems_per_step=5, pool=3)
    requests, _ = curriculum.draw(curriculum.init(task, 0), task, 1, [])
    assert {r.problem.answer for r in requests} == set(curriculum.candidates(task))


@pytest.mark.parametrize("options", [{"samples": 2}, {"keep": 0.0}, {"pool": 0}])
def test_options_out_of_range(options):
    with pytest.raises(RecipeError, match="curriculum"):
        BaseVotes(**options)


def test_at_test_time_the_evaluated_problems_are_drawn():
    task = Finite(50, test=5)
    requests, _ = TestTime(problems_per_step=3, eval_problems=3).draw({}, task, 1, [])
    assert {r.problem.prompt for r in requests} == {"test 0", "test 1", "test 2"}
    requests, _ = TestTime(problems_per_step=5, eval_problems=100).draw({}, task, 1, [])
    assert {r.problem.prompt for r in requests} == {f"test {i}" for i in range(5)}
