"""POPE's curriculum: where solutions are cut, what leaks, what the search keeps, and what is drawn."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch

from hone.core.batch import collect
from hone.core.errors import DataError, RecipeError, TaskError
from hone.core.problem import Problem, Verdict
from hone.core.stages import Prepares, Request
from hone.core.trajectory import Segment, Trajectory
from hone.curricula import Pope
from hone.curricula.guided import INSTRUCTION, leaks, places, show, units
from hone.curricula.prefix_search import ROUND
from hone.tasks import make

LETTERS = "abcdefghijklmnop"


class Letters:
    """Problem i is solved by a word of its own; from a prefix of `helps[i]` letters on a model succeeds."""

    name = "letters"

    def __init__(self, helps: list[int], oracle: str | None = LETTERS) -> None:
        self.helps, self.oracle = helps, oracle

    def size(self, split: str = "train") -> int:
        return len(self.helps)

    def problem(self, index: int, split: str = "train") -> Problem:
        return Problem(f"problem {index}:", LETTERS, "letters", oracle=self.oracle, meta={"at": index})

    def verify(self, problem: Problem, text: str) -> Verdict:
        return Verdict(float(text == LETTERS))

    def parse(self, text: str) -> str:
        return text

    def same(self, a: str, b: str) -> bool:
        return a == b

    def key(self, answer: str) -> str:
        return answer


def attempts(request: Request, successes: int) -> list[Trajectory]:
    prompt = Segment(np.zeros(1, np.int32), "prompt")
    out = []
    for i in range(request.count):
        leaf = Segment(np.zeros(2, np.int32), "action", prompt, np.zeros(2, np.float32))
        labels = {"group": request.group, "rollout": i, "variant": request.variant}
        verdict = Verdict(float(i < successes))
        out.append(Trajectory(request.problem, leaf, "", "stop", labels, verdict=verdict))
    return out


def searched(curriculum: Pope, task: Letters):
    """The state after the whole search, and the requests of each round."""
    state, rounds = curriculum.init(task, 0), []
    while requests := curriculum.ask(state, task):
        rounds.append(requests)
        found = [
            t
            for r in requests
            for t in attempts(r, int(len(r.prefix_text) >= task.helps[r.problem.meta["at"]]))
        ]
        state = json.loads(json.dumps(curriculum.hear(state, task, None, found[::-1])))
    return state, rounds


@pytest.mark.parametrize("cuts", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.99])
def test_the_search_finds_what_brute_force_finds(cuts: int, share: float):
    helps = [*range(len(LETTERS) + 1)]
    task = Letters(helps)
    curriculum = Pope(problems=99, cuts=cuts, max_share=share, hard_samples=4, search_samples=3)
    state, _ = searched(curriculum, task)
    most = int(share * len(LETTERS))
    allowed = sorted({round(most * i / cuts) for i in range(1, cuts + 1)} - {0})
    assert {each["index"] for each in state["prefixes"]} == set(helps)
    for each in state["prefixes"]:
        need = helps[each["index"]]
        good = [m for m in allowed if m >= need]
        if need == 0:
            assert (each["how"], each["prefix"]) == ("easy", None)
        else:
            assert each["prefix"] == LETTERS[: good[0] if good else allowed[-1]]
            assert each["how"] == ("found" if good else "fallback")
            assert each["searched_tokens"] == 3 * 2 * (allowed.index(good[0]) + 1 if good else len(allowed))


def test_what_a_probe_samples_does_not_depend_on_what_is_asked_beside_it():
    curriculum = Pope(problems=99, hard_samples=2, search_samples=2)
    _, all_rounds = searched(curriculum, Letters([3] * (ROUND + 9)))
    _, without = searched(dataclasses.replace(curriculum, versions="unguided"), Letters([3] * (ROUND + 9)))
    asked = [{(r.problem.id, r.group) for r in itertools.chain(*rounds)} for rounds in (all_rounds, without)]
    assert asked[1] < asked[0]
    assert all(len(requests) <= ROUND for requests in all_rounds)
    groups = [r.group for r in itertools.chain(*all_rounds)]
    assert len(set(groups)) == len(groups)


def test_the_fallback_may_be_a_random_prefix_that_the_seed_decides():
    task = Letters([99] * 20)
    found = [
        searched(Pope(problems=20, hard_samples=1, search_samples=1, fallback="random", seed=s), task)[0]
        for s in (1, 1, 2)
    ]
    lengths = [
        {
            each["problem"]: len(each["prefix"])
            for each in sorted(state["prefixes"], key=lambda e: e["problem"])
        }
        for state in found
    ]
    assert lengths[0] == lengths[1]
    assert set(lengths[0].values()) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("oracle", "ends"),
    [("UURD", [1, 2, 3, 4]), ("one two  three\n", [3, 7, 14]), ("x\n", [1]), ("", []), ("a b", [1, 3])],
)
def test_solutions_are_cut_between_words_or_characters(oracle: str, ends: list[int]):
    assert units(oracle) == ends
    for cuts, share in itertools.product((1, 3, 9), (0.25, 0.9)):
        found = places(oracle, cuts, share)
        assert list(found) == sorted(set(found))
        assert all(cut in ends[:-1] and ends.index(cut) + 1 <= share * len(ends) for cut in found)


@pytest.mark.parametrize(
    ("task", "answer", "prefix", "gives"),
    [
        ("arithmetic", 6, "4*2=8\n", False),
        ("arithmetic", 6, "4*2=8\n#6", True),
        ("arithmetic", 6, "the value is 6,", True),
        ("arithmetic", 6, "16 and 6.5 and x6", False),
        ("maze", "UUR", "UU", False),
        ("maze", "UUR", "UUR", True),
    ],
)
def test_a_prefix_with_the_final_answer_leaks(task: str, answer: object, prefix: str, gives: bool):
    made = make(task, **({"sizes": 5} if task == "maze" else {}))
    problem = dataclasses.replace(made.problem(0), answer=answer)
    assert leaks(made, problem, prefix) is gives


def test_a_leak_by_the_verifier_alone_counts():
    class Kind(Letters):
        def verify(self, problem: Problem, text: str) -> Verdict:
            return Verdict(float("d" in text))

    state = Pope(problems=1, cuts=4).init(Kind([9]), 0)
    assert state["prefixes"][0] | {"cuts": [1, 2, 3], "leaked": 1} == state["prefixes"][0]


@pytest.mark.parametrize(
    ("oracle", "how"), [(None, "no oracle"), ("abc", "short"), ("abcdefghijklmnop abcdefghijklmnop", "short")]
)
def test_problems_without_a_usable_prefix_are_counted_and_left_out(oracle: str | None, how: str):
    task, curriculum = Letters([9, 9], oracle), Pope(problems=2)
    state, rounds = searched(curriculum, task)
    assert (rounds, [each["how"] for each in state["prefixes"]]) == ([], [how, how])
    with pytest.raises(RecipeError, match="no problem to learn from: of 2, 2 left out"):
        curriculum.settled(state)


def test_versions_are_drawn_one_to_one_in_groups_of_their_own():
    task = Letters([0, 2, 3, 99, 0])
    curriculum = Pope(4, 6, problems=5, hard_samples=2, search_samples=2)
    state, _ = searched(curriculum, task)
    assert "2 hard, with a prefix" in curriculum.settled(state)[0]
    seen = []
    for step in (1, 2, 3):
        requests, _ = curriculum.draw(state, task, step, [])
        assert [r.group for r in requests] == list(range(6))
        assert curriculum.draw(state, task, step, attempts(requests[0], 0)) == ([], state)
        pairs = [(r.problem.meta["at"], r.variant) for r in requests]
        assert sorted(pairs) == [(i, v) for i in (1, 2, 3) for v in (0, 1)]  # an epoch
        for r in requests:
            assert (r.prompt is None) == (r.variant == 0) == (r.prefix_text == "")
            assert r.shown == r.problem.prompt + r.prefix_text
        seen.append(tuple(pairs))
    assert len(set(seen)) > 1


@pytest.mark.parametrize(
    ("keys", "drawn"),
    [
        ({"versions": "unguided"}, {(1, 0)}),
        ({"versions": "guided"}, {(1, 1)}),
        ({"hard_only": False}, {(0, 0), (1, 0), (1, 1)}),
        ({"hard_only": False, "versions": "unguided"}, {(0, 0), (1, 0)}),
    ],
)
def test_what_is_in_the_pool(keys: dict, drawn: set):
    task, curriculum = Letters([0, 2]), Pope(2, 12, problems=2, hard_samples=2, search_samples=2, **keys)
    state, _ = searched(curriculum, task)
    requests, _ = curriculum.draw(state, task, 1, [])
    assert {(r.problem.meta["at"], r.variant) for r in requests} == drawn


def test_before_the_search_candidates_are_drawn_as_they_are():
    task, curriculum = Letters([9, 9]), Pope(2, 2, problems=2)
    assert isinstance(curriculum, Prepares)
    requests, _ = curriculum.draw(curriculum.init(task, 0), task, 1, [])
    assert [r.variant for r in requests] == [0, 0]


def test_prefixes_of_a_file_take_the_place_of_the_search(tmp_path):
    task = Letters([9, 9, 9])
    path = tmp_path / "prefixes.json"
    rows = [{"index": 0, "prefix": "ab"}, {"index": 1, "prefix": None}, {"index": 2, "prefix": LETTERS}]
    path.write_text(json.dumps({"prefixes": rows}))
    curriculum = Pope(2, 2, prefixes=str(path))
    state = curriculum.init(task, 0)
    assert curriculum.ask(state, task) == []
    assert "1 with the prefix of the file; 1 left out" in curriculum.settled(state)[0]
    requests, _ = curriculum.draw(state, task, 1, [])
    assert [(r.problem.meta["at"], r.prefix_text) for r in requests] == [(0, ""), (0, "ab")]
    path.write_text(json.dumps({"prefixes": [{"index": 0, "prefix": "ab", "problem": "another"}]}))
    with pytest.raises(DataError, match="was chosen for another"):
        curriculum.init(task, 0)
    path.write_text("[]")
    with pytest.raises(DataError, match="holds no prefixes"):
        curriculum.init(task, 0)


CHAT = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two and two?"})


@pytest.mark.parametrize("form", ["auto", "instruction"])
def test_a_chat_is_asked_to_complete_the_prefix(form: str):
    problem = Problem(CHAT, "4", "chat", oracle="Two and two make 4")
    prompt, judged = show(problem, "Two and", form)
    words = INSTRUCTION.format(problem="Two and two?", prefix="Two and")
    assert prompt == (CHAT[0], {"role": "user", "content": words})
    assert judged == "Two and\n"
    with pytest.raises(TaskError, match=r"curriculum\.form=instruction"):
        show(problem, "Two and", "continuation")
    with pytest.raises(TaskError, match="'system'"):
        show(dataclasses.replace(problem, prompt=CHAT[:1]), "Two and", form)


def test_a_text_may_be_asked_to_as_well():
    problem = Problem("Go:", "UURD", "maze", oracle="UURD")
    assert show(problem, "UU", "instruction") == (INSTRUCTION.format(problem="Go:", prefix="UU"), "UU")
    assert show(problem, "UU", "auto") == show(problem, "UU", "continuation") == ("Go:UU", "UU")


def test_the_steps_line_counts_versions_apart():
    requests = [Request(Problem("p", "a", "t"), 3, group, variant) for group, variant in ((0, 0), (1, 1))]
    batch = collect([t for r, good in zip(requests, (1, 2)) for t in attempts(r, good)])
    rewards = torch.tensor([1.0, 0, 0, 1, 1, 0])
    assert Pope().report(dataclasses.replace(batch, rewards=rewards)) == {
        "pope/unguided_rollouts": 3, "pope/unguided_correct": 1,
        "pope/guided_rollouts": 3, "pope/guided_correct": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "keys", [{"cuts": 0}, {"max_share": 1.0}, {"max_share": 0}, {"problems": 0}, {"search_samples": 0}]
)
def test_options_without_meaning_are_refused(keys: dict):
    with pytest.raises(RecipeError, match=next(iter(keys))):
        Pope(**keys)
