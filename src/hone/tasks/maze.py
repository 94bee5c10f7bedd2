"""Mazes: find the way from S to G with moves U, D, L, R (after the maze study of MaxRL).

A maze of odd size s has s x s cells; rooms sit at odd coordinates and passages between them form a spanning
tree, so the simple path between any two open cells is unique. The outer wall is left out of the prompt, which
holds s - 2 rows of s - 2 characters (`#` wall, `.` path, `S`, `G`), each ended by a newline, then `>`: 57
characters at size 9.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

from hone.core.problem import Problem, Split, Verdict
from hone.tasks.procedural import as_levels, check_index, check_quality, check_split, drawn, listed

Cell = tuple[int, int]
MOVES: dict[str, Cell] = {"U": (-1, 0), "D": (1, 0), "L": (0, -1), "R": (0, 1)}
INVERSE = {"U": "D", "D": "U", "L": "R", "R": "L"}
LISTED_SIZE = 7  # 168 problems of size 5 and 52,224 of size 7 can be listed; size 9 has 93 million
MAX_DETOURS, MAX_DETOUR_DEPTH = 3, 4


@dataclass(frozen=True)
class Maze:
    """Mazes of the given `sizes` (odd, 5 to 21; one or a list, drawn evenly). `level` is the path's length.

    Reward 1 exactly if every character is a move and the walk meets the goal before it meets a wall or leaves
    the grid; where it goes after the goal is not judged. White space around the moves is ignored.

    Sizes 5 and 7 have finitely many problems (168 and 52,224). If nothing larger is asked for, each is met once,
    so a list of both is nearly all size 7, and an index past their number is a TaskError. So is a size that is
    even or not in 5 to 21.
    """

    sizes: int | tuple[int, ...] = 9
    name: str = field(default="maze", init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", self._sizes())

    def problem(self, index: int, split: Split = "train") -> Problem:
        """The maze at `index` of `split`; start and goal are any two different open cells."""
        sizes = self._sizes()
        size = self.size(split)
        check_index(self.name, index, size)
        if size is not None:
            return _all_problems(sizes)[split][index]
        return drawn(self.name, sizes, index, split, lambda rng: draw(rng, rng.choice(sizes)))

    def size(self, split: Split = "train") -> int | None:
        """Distinct problems of `split`: counted up to size 7, None beyond (size 9 has 93 million in all)."""
        check_split(self.name, split)
        sizes = self._sizes()
        return len(_all_problems(sizes)[split]) if max(sizes) <= LISTED_SIZE else None

    def verify(self, problem: Problem, text: str) -> Verdict:
        """Walk `text` through the maze. The answer is the simple path to where a valid walk ends."""
        moves = text.strip()
        if not set(moves) <= set(MOVES):
            return Verdict(reward=0.0, detail="not moves")
        cells, start, goal = read(str(problem.prompt))
        here = start
        for count, move in enumerate(moves, start=1):
            here = _step(here, move)
            if here not in cells:
                return Verdict(reward=0.0, detail=f"hit a wall at move {count}")
            if here == goal:
                return Verdict(reward=1.0, answer=simplify(moves[:count]), detail=f"goal after {count} moves")
        return Verdict(reward=0.0, answer=simplify(moves) or None, detail="stopped before the goal")

    def parse(self, text: str) -> str | None:
        """The simple path of the moves in `text` (steps taken back cancel out), None if not all are moves.

        The goal is not known here; `verify` cuts the walk there first.
        """
        moves = text.strip()
        return simplify(moves) if moves and set(moves) <= set(MOVES) else None

    def same(self, a: str | None, b: str | None) -> bool:
        """Whether two simple paths are equal; in a tree that is to say that they end in the same cell."""
        return a is not None and a == b

    def key(self, answer: str | None) -> str:
        """The path itself."""
        return answer or ""

    def demonstrate(self, problem: Problem, seed: int, quality: str) -> str:
        """A solver's text for `problem`: `direct` (shortest), `wandering` (detours, still right) or `wrong`.

        A wrong one walks to a place from which the goal has not been met and stops there or runs into a wall.
        """
        check_quality(quality)
        cells, start, goal = read(str(problem.prompt))
        rng = random.Random(seed)
        if quality == "direct":
            return paths_from(cells, start)[goal]
        if quality == "wandering":
            return _wander(rng, cells, start, goal)
        return _fail(rng, cells, start, goal)

    def outline(self, problem: Problem, text: str) -> str:
        """The directions that a walk takes in turn, without how far: `dru` of `DDDDRRUU`, which is no answer itself."""
        moves = text.strip().lower()
        return "".join(m for i, m in enumerate(moves) if i == 0 or moves[i - 1] != m)

    def _sizes(self) -> tuple[int, ...]:
        return as_levels("maze", "sizes", self.sizes, 5, 21, step=2)


def draw(rng: random.Random, size: int) -> Problem:
    """A maze of `size` by randomised Prim from the top left room, with start and goal anywhere."""
    cells = carve(rng, size)
    start, goal = rng.sample(sorted(cells), 2)
    return pose(cells, start, goal, paths_from(cells, start)[goal], size)


def carve(rng: random.Random, size: int) -> frozenset[Cell]:
    """Open cells, without the outer wall: rooms have two even coordinates in 0 to size - 3.

    Randomised Prim: a random frontier room is joined to a random neighbour that is already part of the maze.
    """
    carved: set[Cell] = {(0, 0)}
    frontier = _rooms_beside((0, 0), size)
    while frontier:
        at = rng.randrange(len(frontier))
        frontier[at], frontier[-1] = frontier[-1], frontier[at]
        room = frontier.pop()
        beside = _rooms_beside(room, size)
        other = rng.choice([r for r in beside if r in carved])
        carved |= {room, _between(room, other)}
        frontier += [r for r in beside if r not in carved and r not in frontier]
    return frozenset(carved)


def pose(cells: frozenset[Cell], start: Cell, goal: Cell, path: str, size: int) -> Problem:
    """The problem that asks for the way from `start` to `goal`, whose shortest path is `path`."""
    marks = {start: "S", goal: "G"}
    span = range(size - 2)
    rows = ("".join(marks.get((r, c), "." if (r, c) in cells else "#") for c in span) for r in span)
    prompt = "".join(f"{row}\n" for row in rows) + ">"
    return Problem(prompt=prompt, answer=path, task="maze", level=len(path), oracle=path, meta={"size": size})


@lru_cache(maxsize=1024)  # a maze is read for every answer
def read(prompt: str) -> tuple[frozenset[Cell], Cell, Cell]:
    """Open cells, start and goal of a prompt."""
    marks = {(r, c): mark for r, row in enumerate(prompt.split("\n")[:-1]) for c, mark in enumerate(row)}
    start, goal = (next(cell for cell, mark in marks.items() if mark == wanted) for wanted in "SG")
    return frozenset(cell for cell, mark in marks.items() if mark != "#"), start, goal


def paths_from(cells: frozenset[Cell], start: Cell) -> dict[Cell, str]:
    """Moves of the shortest path from `start` to every cell it reaches, nearest first (breadth-first search)."""
    paths = {start: ""}
    queue = [start]
    for here in queue:
        for move in _exits(cells, here, ""):
            there = _step(here, move)
            if there not in paths:
                paths[there] = paths[here] + move
                queue.append(there)
    return paths


def simplify(moves: str) -> str:
    """Cancel every move that is undone: in a tree, what is left is the simple path between the ends."""
    kept: list[str] = []
    for move in moves:
        if kept and kept[-1] == INVERSE[move]:
            kept.pop()
        else:
            kept.append(move)
    return "".join(kept)


def _step(cell: Cell, move: str) -> Cell:
    down, right = MOVES[move]
    return cell[0] + down, cell[1] + right


def _between(a: Cell, b: Cell) -> Cell:
    return (a[0] + b[0]) // 2, (a[1] + b[1]) // 2


def _rooms_beside(room: Cell, size: int) -> list[Cell]:
    near = [(room[0] + 2 * down, room[1] + 2 * right) for down, right in MOVES.values()]
    return [r for r in near if 0 <= r[0] <= size - 3 and 0 <= r[1] <= size - 3]


def _exits(cells: frozenset[Cell], here: Cell, avoid: str) -> list[str]:
    """Moves from `here` that stay on open cells, without those in `avoid`."""
    return [move for move in MOVES if move not in avoid and _step(here, move) in cells]


def _wander(rng: random.Random, cells: frozenset[Cell], start: Cell, goal: Cell) -> str:
    """The shortest path with up to MAX_DETOURS trips into branches that miss the goal, and back."""
    path = paths_from(cells, start)[goal]
    walk, here, came = "", start, ""
    places = []
    for at, move in enumerate(path):
        if exits := _exits(cells, here, move + came):
            places.append((at, here, exits))
        here, came = _step(here, move), INVERSE[move]
    chosen = {
        at: (cell, exits)
        for at, cell, exits in rng.sample(places, min(len(places), rng.randint(1, MAX_DETOURS)))
    }
    for at, move in enumerate(path):
        if at in chosen:
            side, exits = chosen[at]
            trip = ""
            for _ in range(rng.randint(1, MAX_DETOUR_DEPTH)):
                if not exits:
                    break
                trip += rng.choice(exits)
                side = _step(side, trip[-1])
                exits = _exits(cells, side, INVERSE[trip[-1]])
            walk += trip + "".join(INVERSE[m] for m in reversed(trip))
        walk += move
    return walk


def _fail(rng: random.Random, cells: frozenset[Cell], start: Cell, goal: Cell) -> str:
    """The way to some cell that is not behind the goal; there the text ends, or goes on into a wall."""
    reach = paths_from(cells - {goal}, start)
    end = rng.choice(list(reach))
    blocked = [move for move in MOVES if _step(end, move) not in cells]
    if blocked and (end == start or rng.random() < 0.5):
        return reach[end] + rng.choice(blocked)
    return reach[end] or rng.choice([m for m in _exits(cells, start, "") if _step(start, m) != goal])


@lru_cache(maxsize=8)
def _all_problems(sizes: tuple[int, ...]) -> dict[Split, tuple[Problem, ...]]:
    return listed(p for size in set(sizes) for p in _problems_of(size))


def _problems_of(size: int) -> Iterator[Problem]:
    """Every maze of `size` with every start and goal."""
    for cells in _spanning_trees(size):
        for start in sorted(cells):
            paths = paths_from(cells, start)
            yield from (pose(cells, start, goal, path, size) for goal, path in paths.items() if goal != start)


def _spanning_trees(size: int) -> Iterator[frozenset[Cell]]:
    """All sets of rooms and passages that form a tree: (rooms - 1) passages that reach every room."""
    span = range(0, size - 2, 2)
    rooms = [(r, c) for r in span for c in span]
    passages = [(a, b) for a in rooms for b in _rooms_beside(a, size) if a < b]
    for chosen in combinations(passages, len(rooms) - 1):
        cells = frozenset(rooms) | {_between(a, b) for a, b in chosen}
        if len(paths_from(cells, rooms[0])) == len(cells):
            yield cells
