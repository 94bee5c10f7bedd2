from __future__ import annotations

import pytest

from hone.report import mazes
from hone.tasks.maze import Maze

ROWS = ("S.#", "#.#", "#.G")
PROMPT = "\n".join(ROWS) + "\n>"


def test_grid_is_found_in_a_prompt_and_in_a_chat() -> None:
    assert mazes.grid(PROMPT) == ROWS
    assert mazes.grid("user: Find the way.\n" + PROMPT) == ROWS
    assert mazes.grid("S.\n..G") is None
    assert mazes.grid("...\n..G") is None
    assert mazes.grid("no maze") is None


@pytest.mark.parametrize(
    ("text", "end", "moves"),
    [
        ("RDDR", "goal", 4),
        (" RDDRLLLL\n", "goal", 4),
        ("RR", "wall", 2),
        ("U", "wall", 1),
        ("RD", "stopped", 2),
        ("", "stopped", 0),
        ("R?", "unreadable", 0),
    ],
)
def test_walk(text: str, end: str, moves: int) -> None:
    found = mazes.walk(ROWS, text)
    assert (found.end, len(found.places) - 1) == (end, moves)
    assert mazes.draw(found, "a <b>").count("&lt;b&gt;") == 1


def test_agrees_with_the_task() -> None:
    task = Maze(9)
    for index in range(30):
        problem = task.problem(index)
        rows = mazes.grid(str(problem.prompt))
        assert rows is not None
        for quality in ("direct", "wandering", "wrong"):
            text = task.demonstrate(problem, index, quality)
            assert (mazes.walk(rows, text).end == "goal") == (task.verify(problem, text).reward == 1)


def test_track_keeps_right_and_comes_back_on_the_other_side() -> None:
    a = mazes.ASIDE
    there_and_back = mazes.track(((0, 0), (0, 1), (0, 0)), False)
    assert there_and_back == [(0.5, 0.5 + a), (1.5, 0.5 + a), (1.5, 0.5 - a), (0.5, 0.5 - a)]
    corner = mazes.track(((0, 0), (0, 1), (1, 1)), False)
    assert corner == [(0.5, 0.5 + a), (1.5 - a, 0.5 + a), (1.5 - a, 1.5)]
    assert mazes.track(((0, 0),), False) == []
