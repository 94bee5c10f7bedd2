from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, split_of
from hone.tasks.gym import Gym, available

# Plain ones, one without a reference answer, and generators that depend on string hashes
SAMPLE = [
    "chain_sum",
    "gcd",
    "word_sorting",
    "ransom_note",
    "isomorphic_strings",
    "propositional_logic",
    "polynomial_multiplication",
]
NO_ORACLE = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
NONSENSE = ("nonsense", "0" * 40, "\x00\u202e", "None", "[]", "import os")


def check(name: str) -> None:
    task = Gym(name)
    problem = task.problem(3)
    assert split_of(problem.id) == "train"
    assert problem.prompt
    if name in NO_ORACLE:
        assert problem.answer is None
    else:
        verdict = task.verify(problem, str(problem.answer))
        assert (verdict.reward, verdict.parts) == (1.0, {"score": 1.0}), (name, verdict)
        assert task.verify(problem, f"I think.\nAnswer: {problem.answer}").reward == 1.0
    for text in NONSENSE:
        verdict = task.verify(problem, text)
        assert verdict.reward != 1.0 or text == problem.answer, (name, text, verdict)
        assert verdict.reward in (0.0, 1.0, None)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_of_tasks(name: str) -> None:
    check(name)


@pytest.mark.slow
def test_every_task_that_can_be_built() -> None:
    for name in available()[0]:
        check(name)


def test_what_cannot_be_built_is_listed_with_the_reason() -> None:
    names, reasons = available()
    assert len(names) > 90
    assert set(SAMPLE) <= set(names)
    assert "dataset" in reasons["composite"]
    with pytest.raises(TaskError, match=r"rg:composite` cannot be built"):
        Gym("composite")


def test_partial_scores_are_parts_never_rewards() -> None:
    task = Gym("chain_sum")
    problem = task.problem(0)
    verdict = task.verify(problem, f"{problem.answer} or so")
    assert verdict.reward == 0.0
    assert 0 < verdict.parts["score"] < 1


@pytest.mark.parametrize(
    ("name", "nonsense"),
    [("coin_flip", "0"), ("complex_arithmetic", "nan"), ("game_of_life_halting", "nonsense")],
)
def test_nonsense_that_a_scorer_pays_for_is_not_rewarded(name: str, nonsense: str) -> None:
    task = Gym(name)
    problems = [task.problem(i) for i in range(4)]
    verdicts = [task.verify(p, nonsense) for p in problems]
    assert [v.reward for v in verdicts] == [0.0] * 4
    assert 1.0 in [v.parts["score"] for v in verdicts]  # or the guard is needless
    assert [task.verify(p, str(p.answer)).reward for p in problems] == [1.0] * 4


def test_splits_are_disjoint_and_random_access() -> None:
    task = Gym("chain_sum")
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        problems = [task.problem(i, split) for i in range(20)]
        assert {split_of(p.id) for p in problems} == {split}
        assert len({p.id for p in problems}) > 15


def test_problems_are_the_same_in_every_process() -> None:
    names = ["isomorphic_strings", "ransom_note", "polynomial_multiplication"]
    code = f"from hone.tasks.gym import Gym\nfor n in {names}: print(Gym(n).problem(5, 'test').id)"
    env = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    other = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    # Here in another order, after other tasks, and in a process with other hashes
    ours = {name: Gym(name).problem(5, "test").id for name in names[::-1]}
    assert other.stdout.split() == [ours[name] for name in names]


def test_where_the_answer_stands() -> None:
    task = Gym("chain_sum")
    assert task.parse("  12 \n") == "12"
    assert task.parse("5\nAnswer: 6\nno\nFinal answer: 12\n") == "12"
    assert task.parse("**Answer:** 12") == "12"
    assert task.parse("Answer:\n1 2\n3 4") == "1 2\n3 4"
    assert task.parse("<answer>11</answer> <answer> 12 </answer> 13") == "12"
    assert task.parse("<answer>" * 12_000 + "12") == "12"
    assert task.parse("  ") is None
    assert task.parse("") is None


def test_options_reach_the_generator_and_wrong_ones_are_named() -> None:
    task = Gym("chain_sum", {"min_terms": 3, "max_terms": 3, "min_digits": 1, "max_digits": 1})
    assert sum(c in "+-" for c in task.problem(0).text()) == 2
    with pytest.raises(
        TaskError, match=r"`task.min_term` is not an option of `rg:chain_sum`. Did you mean `min_terms`"
    ):
        Gym("chain_sum", {"min_term": 3})
    with pytest.raises(TaskError, match=r"max_terms must be >= min_terms"):
        Gym("chain_sum", {"min_terms": 30})
    with pytest.raises(TaskError, match=r"no task `rg:chain_sun`. Did you mean `chain_sum`"):
        Gym("chain_sun")


def test_difficulty_is_the_level_where_it_is_a_number() -> None:
    assert Gym("bitwise_arithmetic").problem(0).level == 2
    assert Gym("chain_sum").problem(0).level == 0


def test_long_answers_and_broken_problems() -> None:
    task = Gym("chain_sum")
    problem = task.problem(0)
    assert task.verify(problem, "1" * 100_001).reward == 0.0
    assert task.verify(problem, "").reward == 0.0
    assert task.verify(Problem("?", "1", "rg:chain_sum"), "1").status == "error"
