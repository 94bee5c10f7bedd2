"""Mazes: find the way from S to G with moves U, D, L, R (after the maze study of MaxRL).

A maze of odd size s has s x s cells; rooms sit at odd coordinates and passages between them form a spanning tree, so
the simple path between any two open cells is unique. The outer wall is left out of the prompt, which holds s - 2
rows of s - 2 characters (`#` wall, `.` path, `S`, `G`), each ended by a newline, then `>`. Size 9 is 57 characters.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

from hone.core.errors import TaskError
from hone.core.problem import Problem, Split, Verdict
from hone.tasks.procedural import as_levels, check_index, drawn, listed

Cell = tuple[int, int]
MOVES: dict[str, Cell] = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}
INVERSE = {"U": "D", "D": "U", "L": "R", "R": "L"}
LISTED_SIZE = 7  # 168 problems of size 5 and 52,224 of size 7 can be listed; size 9 has 93 million
DETOURS = 3  # at most so many in a wandering demonstration, each at most this deep
DETOUR_DEPTH = 4


@dataclass(frozen=True)
class Maze:
    """Mazes of the given `size` (odd, 5 to 21; one or a list, drawn evenly). `level` is the shortest path's length.

    Reward 1 exactly if every character is a move and the walk meets the goal before it meets a wall or leaves the
    grid; where it goes after the goal is not judged. White space around the moves is ignored.

    Sizes 5 and 7 have finitely many problems: if nothing larger is asked for, each is met once and an index past
    their number is a TaskError. A size that is not odd or not in 5 to 21 is a TaskError.
    """

    size_option: int | tuple[int, ...] = 9
