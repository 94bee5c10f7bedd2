"""Curricula of runs without labels: which problems the starting model's votes leave, and training on the test split."""

from __future__ import annotations

import pytest

from hone.core.errors import RecipeError
from hone.core.problem import Problem, Verdict
from hone.curricula import BaseVotes, TestTime, Uniform
from hone.curricula.base_votes import vote_of
from hone.tasks import Maze


class Finite:
    name = "finite"

    def __init__(self, train: int | None, test: int = 5) -> None:
        self.sizes = {"train": train, "test": test}

    def size(self, split: str = "train") -> int | None:
        return self.sizes[split]

    def problem(self, index: int, split: str = "train") -> Problem:
        return Problem(f"{split} {index}", index, "finite")


VOTES = [
    {"index": index, "text": text, "frequency": frequency, "pass_rate": right}
    for index, text, frequency, right in (
        (4, "four", 0.5, 0.9),
        (1, "one", 0.9, 0.1),
        (2, None, 0.0, 0.0),
        (0, "zero", 0.9, 0.5),
        (3, "three", 0.2, 0.7),
    )
]


def kept(curriculum: BaseVotes) -> list[int]:
    return [index for index, *_ in curriculum.easiest(VOTES)]


def test_the_easiest_stay_in_their_order():
    assert kept(BaseVotes(keep=1 / 3)) == [1, 0]
    assert kept(BaseVotes(keep=0.2)) == [1]  # of equally easy ones the first
    assert kept(BaseVotes(keep=0.4, by="pass_rate")) == [4, 3]


def test_what_cannot_be_read_is_left_out():
    assert kept(BaseVotes()) == [4, 1, 0, 3]
    with pytest.raises(RecipeError, match="None of the starting model's answers"):
        BaseVotes().easiest([VOTES[2]])


def test_problems_come_with_their_majority_once_an_epoch():
    curriculum, task = BaseVotes(num_generations=3, problems_per_step=2), Finite(5)
    state = {"cast": VOTES, "votes": curriculum.easiest(VOTES)}
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


class Answered:
    """A sampled answer as the vote reads it."""

    def __init__(self, text: str, reward: float | None) -> None:
        self.text = text
        answer = text if text != "?" else None
        self.verdict = Verdict(reward, answer=answer) if reward is not None else Verdict(None, "error")


def test_a_vote_is_the_most_frequent_answer_and_of_equal_ones_the_first():
    task = Maze()
    answers = [Answered("?", 0.0), Answered("UR", 0.0), Answered("DD", 1.0), Answered("DD", 1.0)]
    found = vote_of(task, task, 7, answers)
    assert (found["index"], found["text"], found["pass_rate"]) == (7, "DD", 0.5)
    assert found["frequency"] == pytest.approx(2 / 3)
    assert vote_of(task, task, 0, answers[:3])["text"] == "UR"
    assert vote_of(task, task, 0, [Answered("?", None)])["text"] is None


def test_what_is_equal_is_for_the_judge_to_say():
    class Alike:
        """Every answer is the same."""

        def key(self, answer):
            return ""

        def same(self, a, b):
            return True

    answers = [Answered("UR", 0.0), Answered("DD", 1.0), Answered("DD", 1.0)]
    assert vote_of(Alike(), Maze(), 0, answers)["frequency"] == 1.0
    assert vote_of(Maze(), Maze(), 0, answers)["frequency"] == pytest.approx(2 / 3)
