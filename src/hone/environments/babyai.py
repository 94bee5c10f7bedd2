"""BabyAI in rooms of 6x6: MiniGrid's levels, each decision a symbolic prompt of at most 64 characters."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from hone.core.environment import Step
from hone.core.errors import TaskError, nearest
from hone.environments.babyai_search import advise
from hone.environments.base import check_action, check_size
from hone.environments.gym_text import MISSING

LEVELS = ("goto", "pickup", "pick_up_seq_go_to", "open")
MOST_SHOWN = 8  # objects in a prompt; there are fewer in view, but for rooms filled to the brim
ROOM = 6  # cells of a room's side, walls included
SEEN = 7  # MiniGrid's partial view is 7 x 7 cells; the agent stands in the middle of its last row
COLOURS = {"red": "r", "green": "g", "blue": "b", "purple": "p", "yellow": "y", "grey": "e"}
KINDS = {"ball": "b", "box": "x", "key": "k", "door": "d"}


class BabyAI:
    """A BabyAI `level`: `goto`, `pickup`, `pick_up_seq_go_to` or `open`, with `objects` (1 to 8) in its room.

    Actions: `L`, `R` turn, `F` goes forward, `P` picks up, `D` drops, `T` opens a door. Reward 1 when the mission is
    done, whenever that is; the horizon is `horizon` steps.

    The state `g rb     3 1 .. |!rb2+1 gk0-2>` holds the mission (`g` go to, `p` pick up, `o` open; colour, kind), how
    many steps the cells ahead, to the left and to the right are free, what is carried, then the objects in view from
    near to far: colour, kind, steps ahead and to the right. Those that the mission names come first, marked `!`, and
    `?` for its second part. Doors are `d`, open ones `o`. In view is what MiniGrid's view holds of the agent's own
    room: 7 cells ahead and 3 to each side. Nothing is remembered.
    Source: Chevalier-Boisvert et al. 2019 (arXiv 1810.08272), by minigrid. TaskError where that is not installed.
    """

    actions = ("L", "R", "F", "P", "D", "T")

    def __init__(self, level: str = "goto", objects: int = 4, horizon: int = 32) -> None:
        if level not in LEVELS:
            raise TaskError(f"BabyAI has no level `{level}`.", nearest(level, LEVELS))
        check_size("babyai", "objects", objects, 1, 8)
        check_size("babyai", "horizon", horizon, 1, 10_000)
        if level == "pick_up_seq_go_to":
            check_size("babyai", "objects", objects, 2, 8)
        self.level, self.horizon = level, horizon
        self._world: Any = _level_class()(level, objects, horizon)
        self._state = ""
        self._taken, self._over = 0, True

    def reset(self, seed: int) -> str:
        """Begin the attempt of `seed`; returns the first observation."""
        self._world.reset(seed=seed % 2**31)
        self._taken, self._over = 0, False
        self._state = self._text()
        return self._state

    def step(self, action: str) -> Step:
        """Act. Raises TaskError for what is no action, and after the end."""
        check_action(action, self.actions, self._over)
        _, reward, terminated, truncated, _ = self._world.step(self.actions.index(action))
        self._taken += 1
        self._over = bool(terminated or truncated) or self._taken >= self.horizon
        self._state = self._text()
        return Step(self._state, float(reward > 0), self._over)

    def advice(self) -> str:
        """The first action of a shortest way to what the mission wants next, by search of the whole room."""
        return advise(self._world)

    @property
    def state(self) -> str:
        """The symbolic prompt of the present view."""
        return self._state

    def _text(self) -> str:
        parts = goals(self._world.instrs)
        shown = []
        for thing, ahead, right in self._in_view():
            named = next((i for i, (_, c, k) in enumerate(parts) if (c, k) == (thing.color, thing.type)), 2)
            letter = "o" if thing.type == "door" and thing.is_open else KINDS[thing.type]
            text = f"{'!?'[named] if named < 2 else ''}{COLOURS[thing.color]}{letter}{ahead}{right:+d}"
            shown.append((named, ahead + abs(right), right, text))
        shown.sort()
        mission = ",".join(f"{verb}{COLOURS[c]}{KINDS[k]}" for verb, c, k in parts)
        held = self._world.carrying
        carried = COLOURS[held.color] + KINDS[held.type] if held is not None else ".."
        objects = " ".join(text for *_, text in shown[:MOST_SHOWN])
        return f"{mission:8}{self._free()}{carried}|{objects}>"

    def _in_view(self) -> Iterator[tuple[Any, int, int]]:
        """Things of the agent's room with how far ahead and to the right they are, as far as the view reaches."""
        world = self._world
        ahead, right, place = world.dir_vec, world.right_vec, world.agent_pos
        left, top = world.room_from_pos(*place).top
        for x in range(left, left + ROOM):
            for y in range(top, top + ROOM):
                thing = world.grid.get(x, y)
                if thing is None or thing.type not in KINDS or (x, y) == tuple(place):
                    continue
                dx, dy = x - place[0], y - place[1]
                front, side = int(dx * ahead[0] + dy * ahead[1]), int(dx * right[0] + dy * right[1])
                if 0 <= front < SEEN and abs(side) <= SEEN // 2:
                    yield thing, front, side

    def _free(self) -> str:
        """How many cells are free ahead, to the left and to the right."""
        ahead, right = self._world.dir_vec, self._world.right_vec
        return "".join(str(self._run(way)) for way in (ahead, -right, right))

    def _run(self, way: Any) -> int:
        place, steps = self._world.agent_pos + way, 0
        while (cell := self._world.grid.get(*place)) is None or cell.can_overlap():
            place, steps = place + way, steps + 1
        return min(steps, 9)


def goals(instruction: Any) -> list[tuple[str, str, str]]:
    """(verb, colour, kind) of each part of a mission, in the order in which they are to be done."""
    verbs = {"GoToInstr": "g", "PickupInstr": "p", "OpenInstr": "o"}
    parts = [instruction] if hasattr(instruction, "desc") else [instruction.instr_a, instruction.instr_b]
    return [(verbs[type(part).__name__], part.desc.color, part.desc.type) for part in parts]


@functools.cache
def _level_class() -> Any:
    """MiniGrid's level with rooms of 6x6, made when it is first needed: minigrid is an extra."""
    try:
        from minigrid.envs.babyai.core import verifier
        from minigrid.envs.babyai.core.roomgrid_level import RejectSampling, RoomGridLevel
    except ImportError:
        raise TaskError("Environment `babyai` needs minigrid, which is not installed.", MISSING) from None

    class Level(RoomGridLevel):  # type: ignore[misc]
        """One room, or for `open` the middle one of 3 x 3."""

        instrs: Any

        def __init__(self, level: str, objects: int, horizon: int) -> None:
            self.level, self.objects = level, objects
            rows = 3 if level == "open" else 1
            super().__init__(room_size=ROOM, num_rows=rows, num_cols=rows, max_steps=horizon)

        def _gen_grid(self, width: int, height: int) -> None:
            while True:  # MiniGrid's own loop, which prints what it rejects
                try:
                    super(RoomGridLevel, self)._gen_grid(width, height)
                    self.gen_mission()
                    self.validate_instrs(self.instrs)
                    return
                except (RejectSampling, RecursionError):
                    continue

        def gen_obs(self) -> dict[str, Any]:
            """No picture: a prompt is read off the grid, and MiniGrid's picture takes three times as long."""
            return {"direction": self.agent_dir, "mission": self.mission}

        def gen_mission(self) -> None:
            """Objects, the agent among them, and what it is told to do."""
            room = 1 if self.level == "open" else 0
            doors = [self.add_door(1, 1, i, locked=False)[0] for i in range(4)] if room else []
            things = self.add_distractors(room, room, self.objects, all_unique=True)
            self.place_agent(room, room)
            self.check_objs_reachable()
            wanted: Any
            if self.level == "goto":
                wanted = verifier.GoToInstr(self._one(things))
            elif self.level == "pickup":
                wanted = verifier.PickupInstr(self._one(things))
            elif self.level == "open":
                wanted = verifier.OpenInstr(self._one(doors))
            else:
                first, second = (self._described(t) for t in self._rand_subset(things, 2))
                wanted = verifier.BeforeInstr(verifier.PickupInstr(first), verifier.GoToInstr(second))
            self.instrs = wanted

        def _one(self, things: list[Any]) -> Any:
            return self._described(self._rand_elem(things))

        def _described(self, thing: Any) -> Any:
            return verifier.ObjDesc(thing.type, thing.color)

    return Level
