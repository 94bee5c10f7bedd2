"""Mazes: the walk's rules, unique paths, and agreement with independent searches."""

from __future__ import annotations

import collections
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hone.core.problem import Problem
from hone.tasks.maze import Maze, carve, draw, paths_from, read, simplify

CORRIDOR = Problem(prompt="S.G\n##.\n...\n>", answer="RR", task="maze")


@pytest.mark.parametrize(
    ("text", "reward", "detail"),
    [
        ("RR", 1.0, "goal after 2"),
        ("RLRR", 1.0, "goal after 4"),
        (" RR\n", 1.0, "goal after 2"),
        ("RRUUUU", 1.0, "goal after 2"),
        ("RRX", 0.0, "not moves"),
        ("rr", 0.0, "not moves"),
        ("R R", 0.0, "not moves"),
        ("R", 0.0, "stopped"),
        ("", 0.0, "stopped"),
        ("D", 0.0, "hit a wall at move 1"),
        ("U", 0.0, "hit a wall at move 1"),
        ("LRRR", 0.0, "hit a wall at move 1"),
        ("RL" * 50_000, 0.0, "stopped"),
    ],
)
def test_rules_of_the_walk(text, reward, detail):
    verdict = Maze().verify(CORRIDOR, text)
    assert verdict.reward == reward
    assert verdict.detail.startswith(detail)


def test_answer_is_the_simple_path_cut_at_the_goal():
    assert Maze().verify(CORRIDOR, "RLRRDDLL").answer == "RR"
    assert Maze().verify(CORRIDOR, "RLR").answer == "R"
    assert Maze().parse("RLR") == "R"
    assert Maze().parse("R?") is None


def _degrees(cells):
    return {
        c: sum((c[0] + a, c[1] + b) in cells for a, b in ((0, 1), (1, 0), (0, -1), (-1, 0))) for c in cells
    }


@pytest.mark.parametrize("size", range(5, 22, 2))
def test_every_maze_is_a_tree_over_all_rooms(size):
    for seed in range(5):
        cells = carve(random.Random(seed), size)
        assert {(r, c) for r in range(0, size - 2, 2) for c in range(0, size - 2, 2)} <= cells
        assert not any(r % 2 and c % 2 for r, c in cells)
        assert sum(_degrees(cells).values()) == 2 * (len(cells) - 1)
        assert set(paths_from(cells, min(cells))) == cells  # connected


def test_shortest_path_agrees_with_distances_relaxed_without_a_queue():
    for index in range(30):
        problem = Maze((9, 13)).problem(index)
        cells, start, goal = read(problem.prompt)
        distance = dict.fromkeys(cells, 10**6) | {start: 0}
        for _ in cells:
            for r, c in cells:
                near = [distance.get(n, 10**6) for n in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1))]
                distance[r, c] = min(distance[r, c], 1 + min(near))
        assert distance[goal] == problem.level == len(problem.answer)
        assert Maze().verify(problem, problem.answer).reward == 1.0


def _answers_up_to(length, problem):
    """The answers of all right texts of at most `length` moves, found by trying every text."""
    texts = ("".join(moves) for n in range(1, length + 1) for moves in itertools.product("UDLR", repeat=n))
    return {v.answer for v in (Maze().verify(problem, text) for text in texts) if v.reward == 1.0}


def test_every_right_text_gives_the_one_simple_path():
    for index in range(3):
        problem = Maze(5).problem(index)
        assert _answers_up_to(6, problem) == ({problem.answer} if problem.level <= 6 else set())


def test_start_and_goal_lie_anywhere():
    starts = collections.Counter(read(draw(random.Random(seed), 9).prompt)[1] for seed in range(800))
    rooms = [(r, c) for r in range(0, 7, 2) for c in range(0, 7, 2)]
    assert min(starts[r] for r in rooms) > 8  # 26 expected in each of 16 rooms
    assert len(starts) == 16 + 24


def test_prompt_is_small():
    assert len(Maze().problem(0).prompt) == 57
    assert Maze(21).problem(0).prompt.count("\n") == 19
    assert Maze().problem(0).meta["size"] == 9


def test_random_walks_are_judged_like_a_slow_simulation():
    rng = random.Random(0)
    outcomes = set()
    for index in range(300):
        problem = Maze(5).problem(index % 40) if index % 2 else Maze().problem(index)
        rows = problem.prompt.split("\n")[:-1]
        at = next((r, c) for r, row in enumerate(rows) for c, mark in enumerate(row) if mark == "S")
        text = "".join(rng.choices("UDLR", k=rng.randint(0, 12)))
        reward = 0.0
        for move in text:
            at = {"U": (at[0] - 1, at[1]), "D": (at[0] + 1, at[1])}.get(move, at)
            at = {"L": (at[0], at[1] - 1), "R": (at[0], at[1] + 1)}.get(move, at)
            if not (0 <= at[0] < len(rows) and 0 <= at[1] < len(rows)) or rows[at[0]][at[1]] == "#":
                break
            if rows[at[0]][at[1]] == "G":
                reward = 1.0
                break
        assert Maze().verify(problem, text).reward == reward
        outcomes.add(reward)
    assert outcomes == {0.0, 1.0}


@given(st.text(alphabet="UDLR", max_size=60))
@settings(max_examples=200, deadline=None)
def test_simplify_keeps_the_end_and_is_final(moves):
    def end(text):
        count = collections.Counter(text)
        return count["R"] - count["L"], count["D"] - count["U"]

    once = simplify(moves)
    assert simplify(once) == once
    assert end(once) == end(moves)
    assert not any(pair in once for pair in ("UD", "DU", "LR", "RL"))


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_verify_accepts_any_text(text):
    assert Maze().verify(CORRIDOR, text).reward in (0.0, 1.0)
