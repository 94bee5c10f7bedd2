"""A maze and the walk that a model sampled through it, as inline SVG without style attributes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from hone.tasks.maze import MOVES

ASIDE = (
    0.13  # a walk keeps to its right by this share of a cell, so that a way back does not cover the way there
)


@dataclass(frozen=True)
class Walk:
    """A walk through `rows`: the (row, column) places it visits, and how it ended.

    `end` is `goal`, `wall` (its last place is where it hit), `stopped`, or `unreadable` (not only moves).
    """

    rows: tuple[str, ...]
    places: tuple[tuple[int, int], ...]
    end: str

    @property
    def words(self) -> str:
        """How it ended, as a person says it."""
        moves = len(self.places) - 1
        return {
            "goal": f"reaches the goal in {moves} move{'s' * (moves != 1)}",
            "wall": f"hits a wall at move {moves}",
            "stopped": f"stops after {moves} move{'s' * (moves != 1)}, short of the goal",
            "unreadable": "writes something that is not a list of moves",
        }[self.end]


def grid(prompt: str) -> tuple[str, ...] | None:
    """The rows of the maze within `prompt`: its lines of `#`, `.`, `S`, `G`. None if they are no maze."""
    rows = tuple(line for line in prompt.split("\n") if line and set(line) <= set("#.SG"))
    text = "".join(rows)
    fits = 0 < len(rows) <= 99 and len({len(row) for row in rows}) == 1 and len(rows[0]) <= 99
    return rows if fits and text.count("S") == 1 and text.count("G") == 1 else None


def walk(rows: tuple[str, ...], text: str) -> Walk:
    """Follow the moves of `text` from S until the goal, a wall, or its end."""
    here = next((r, row.index("S")) for r, row in enumerate(rows) if "S" in row)
    places = [here]
    moves = text.strip()
    if not set(moves) <= set(MOVES):
        return Walk(rows, (here,), "unreadable")
    for move in moves:
        here = (here[0] + MOVES[move][0], here[1] + MOVES[move][1])
        places.append(here)
        inside = 0 <= here[0] < len(rows) and 0 <= here[1] < len(rows[0])
        if not inside or rows[here[0]][here[1]] == "#":
            return Walk(rows, tuple(places), "wall")
        if rows[here[0]][here[1]] == "G":
            return Walk(rows, tuple(places), "goal")
    return Walk(rows, tuple(places), "stopped")


def track(places: tuple[tuple[int, int], ...], stop_short: bool) -> list[tuple[float, float]]:
    """The (x, y) points of a line along the middles of `places`, kept to the right of its direction.

    With `stop_short` the last place is a wall, and the line ends on its edge.
    """
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(places)]  # (down, right)
    if not steps:
        return []
    asides = [(-ASIDE * down, ASIDE * right) for down, right in steps]  # (x, y)
    middles = [(c + 0.5, r + 0.5) for r, c in places]
    points = [_add(middles[0], asides[0])]
    for middle, came, goes in zip(middles[1:], asides, asides[1:]):
        if came == goes:
            points.append(_add(middle, came))
        elif came == (-goes[0], -goes[1]):  # turns back: cross to the other side
            points += [_add(middle, came), _add(middle, goes)]
        else:  # the corner where the two shifted lines meet
            points.append(_add(_add(middle, came), goes))
    reach = 0.55 if stop_short else 0.0
    down, right = steps[-1]
    end = _add(middles[-1], asides[-1])
    return [*points, (end[0] - reach * right, end[1] - reach * down)]


def _add(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return a[0] + b[0], a[1] + b[1]


def draw(found: Walk, label: str) -> Markup:
    """The maze with the walk: a solid line to a ringed goal on success, a dashed one that ends in a cross otherwise."""
    height, width = len(found.rows), len(found.rows[0])
    walls, marks = "", {}
    for r, row in enumerate(found.rows):
        for c, mark in enumerate(row):
            if mark == "#":
                walls += f"M{c} {r}h1v1h-1z"
            elif mark in "SG":
                marks[mark] = (c + 0.5, r + 0.5)
    points = track(found.places, found.end == "wall")
    kind = "good" if found.end == "goal" else "bad"
    line = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    body = f'<polyline class="walk {kind}" points="{line}"/>' if points else ""
    if kind == "bad" and points:
        x, y = points[-1]
        body += f'<path class="cross" d="M{x - 0.22:.2f} {y - 0.22:.2f}l.44 .44m0 -.44l-.44 .44"/>'
    (sx, sy), (gx, gy) = marks["S"], marks["G"]
    ring = f'<circle class="ring" cx="{gx}" cy="{gy}" r=".46"/>' if kind == "good" else ""
    return Markup(
        f'<svg class="maze {kind}" viewBox="-.35 -.35 {width + 0.7} {height + 0.7}" role="img" aria-label="{{}}">'
        f'<rect class="floor" x="-.2" y="-.2" width="{width + 0.4}" height="{height + 0.4}" rx=".3"/>'
        f'<path class="wall" d="{walls}"/>'
        f'<circle class="start" cx="{sx}" cy="{sy}" r=".3"/>'
        f'<path class="goal" d="M{gx} {gy - 0.36:.2f}l.36 .36l-.36 .36l-.36 -.36z"/>{body}{ring}</svg>'
    ).format(label)
