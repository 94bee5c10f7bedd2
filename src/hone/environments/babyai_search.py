"""What is best next in a BabyAI level: breadth-first search over places and directions, with the whole grid known.

MiniGrid has a bot that plans from what it has seen; it gives up once a box was opened, which policies do.
"""

from __future__ import annotations

from collections import deque
from typing import Any

Cell = tuple[int, int]
WAYS: tuple[Cell, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))  # MiniGrid's directions: right, down, left, up


def advise(world: Any) -> str:
    """The best action by name; `D` in front of what is wanted, where any action that changes nothing ends a `go to`."""
    goal = _next_part(world.instrs)
    kind = type(goal).__name__
    if kind == "PickupInstr" and world.carrying is not None:
        front = tuple(int(x) for x in world.front_pos)
        return "D" if world.grid.get(*front) is None else "L"  # hands must be empty first
    first = _towards(world, _wanted(world, goal, kind))
    if first is not None:
        return first
    return {"GoToInstr": "D", "PickupInstr": "P", "OpenInstr": "T"}[kind]


def _next_part(instruction: Any) -> Any:
    """The part of a mission that is to be done now."""
    if hasattr(instruction, "desc"):
        return instruction
    return instruction.instr_b if instruction.a_done == "success" else instruction.instr_a


def _wanted(world: Any, goal: Any, kind: str) -> set[Cell]:
    """Cells to stand before. For `go to` those where the things were last put, which is what MiniGrid judges by."""
    if kind == "GoToInstr":
        return {(int(x), int(y)) for x, y in goal.desc.obj_poss}
    things = {id(thing) for thing in goal.desc.obj_set}
    cells = ((x, y) for x in range(world.width) for y in range(world.height))
    return {cell for cell in cells if id(world.grid.get(*cell)) in things}


def _towards(world: Any, wanted: set[Cell]) -> str | None:
    """The first action on a shortest way to face one of `wanted`; None where it does already.

    Where there is no way, `L`: the view changes.
    """
    x, y = (int(v) for v in world.agent_pos)
    start = (x, y, int(world.agent_dir))
    queue: deque[tuple[tuple[int, int, int], str | None]] = deque([(start, None)])
    seen = {start}
    while queue:
        (x, y, way), first = queue.popleft()
        ahead = (x + WAYS[way][0], y + WAYS[way][1])
        if ahead in wanted:
            return first
        cell = world.grid.get(*ahead)
        free = cell is None or cell.can_overlap()
        steps = [("L", (x, y, (way - 1) % 4)), ("R", (x, y, (way + 1) % 4))]
        steps += [("F", (*ahead, way))] if free else []
        for action, place in steps:
            if place not in seen:
                seen.add(place)
                queue.append((place, first or action))
    return "L"
